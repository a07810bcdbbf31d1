"""A soak of the real service: `python -m tests.soak [--minutes 10] [--streams 50]`."""
