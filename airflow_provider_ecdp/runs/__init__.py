"""What every run shares: dispatch, record, cancel, progress."""
