"""Everything that a run does, but for sending."""
