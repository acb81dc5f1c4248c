"""Sessions, players and their seats."""
