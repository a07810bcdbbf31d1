"""What the service costs beside a bare pass-through: `python -m tests.benchmarks [--quick]`."""
