"""Everything that a run does, except sending."""
