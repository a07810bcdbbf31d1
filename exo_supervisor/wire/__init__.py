"""Translates between bytes and meaning: pure and incremental, one module per dialect."""
