"""The user's mapping, and the SQL that it compiles to."""
