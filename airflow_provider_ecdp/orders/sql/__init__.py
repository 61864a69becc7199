"""SQL of the contract: fields, types, rules, JSON."""
