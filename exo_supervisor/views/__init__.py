"""Pure tables of the core's truth, for people."""
