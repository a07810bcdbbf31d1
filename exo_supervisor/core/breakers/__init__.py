"""Circuit breakers: one automaton, and the table of all of them."""
