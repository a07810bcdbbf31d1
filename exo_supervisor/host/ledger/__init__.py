"""The ledger: one row for each attempt, in a file of SQLite's that one thread writes.

`row` makes a row, `ledger` takes it on the event loop, `writer` is the thread, `book` what it
writes with; `sums` reads beside it; `file` opens, checks and migrates what `schema` describes.
"""
