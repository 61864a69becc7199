"""How a query runs over its sources: in parts, within the memory limit, without duplicates."""
