"""The NPCs of zones, on their way to sockets."""
