"""Mutants of the core: `python -m tests.mutation [--module load.marks] [--sample 300 --seed 1]`."""
