"""How the suite is: totals, and who is there."""
