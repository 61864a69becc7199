"""Orders that are named by their ids: read, change the status, delete; from lists and from extracts."""
