"""The NPC feed: what AI servers publish, composed per zone for hosts and players."""
