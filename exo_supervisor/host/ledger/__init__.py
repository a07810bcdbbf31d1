"""The ledger: one row for each attempt, in a file of SQLite's that one thread writes."""
