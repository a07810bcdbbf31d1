"""Decides: pure automata and tables; the clock is an argument, and no I/O happens here."""
