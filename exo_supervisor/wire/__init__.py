"""Translates between bytes and meaning: pure and incremental; `table` lists the dialects."""
