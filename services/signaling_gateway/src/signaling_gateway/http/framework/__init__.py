"""The machine that serves the resources: from a request to its question, and from the answer to a document."""
