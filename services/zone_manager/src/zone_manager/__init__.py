"""Zones, their requirements and statistics, and placement."""
