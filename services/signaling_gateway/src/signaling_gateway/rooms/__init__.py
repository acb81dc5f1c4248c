"""Who is where, and what is said of it."""
