"""Three fuzzers with a budget of time: `python -m tests.fuzz --seconds 600 [--seed N] [NAME …]`."""
