"""Mutants of the package: `python -m tests.mutation --module wire.chat --sample 100 --seed 1`."""
