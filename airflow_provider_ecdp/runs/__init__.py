"""Shared by every run: dispatch, record, cancel, progress."""
