"""Circuit breakers: one automaton, and the table of all of them.

`automaton` says when one trips, rests and probes, and argues it; `table` keeps the sick of all
targets and models, and lets those that closed open slowly.
"""
