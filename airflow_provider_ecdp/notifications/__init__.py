"""Notifiers for ExpertSender CDP."""
