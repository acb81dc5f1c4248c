"""What travels between the services: typed subjects and messages."""
