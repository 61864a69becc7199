"""A look before anything is sent: what a push would do."""
