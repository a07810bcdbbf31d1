"""Runs: channels, supervision and the conductor, on anyio alone, so that tests own its time."""
