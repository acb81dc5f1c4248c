"""What the console page shows, from one source for all that are open."""
