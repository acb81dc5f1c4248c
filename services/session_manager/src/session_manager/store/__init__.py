"""The tables of session_manager, in SQL: sessions and their history, seats, who was heard, what was run."""
