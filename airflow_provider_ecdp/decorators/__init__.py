"""TaskFlow decorators for ExpertSender CDP."""
