"""REST: the edge, the routes by resource, and their document."""
