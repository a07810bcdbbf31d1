"""Mutants of the core: `python -m tests.mutation [--module breaker] [--sample 300 --seed 1]`."""
