"""Sensors that wait for ExpertSender CDP."""
