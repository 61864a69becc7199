"""Triggers that wait for ExpertSender CDP in the triggerer."""
