"""DuckDB, locked, with the folders that it spills to."""
