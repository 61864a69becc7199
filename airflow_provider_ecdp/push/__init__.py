"""The use case: orders are read, sent in batches, and every one of them gets an outcome."""
