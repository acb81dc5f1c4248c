"""The calendar of jobs and the leader lease."""
