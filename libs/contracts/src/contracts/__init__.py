"""What travels between the services and to other people's programs: typed subjects and messages, no I/O."""
