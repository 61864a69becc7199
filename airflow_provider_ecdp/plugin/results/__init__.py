"""The results that the API server reads: where they are, and which of them are open."""
