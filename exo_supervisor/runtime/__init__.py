"""Runs: channels, supervision and the conductor, on anyio alone, so that tests own its time.

`policy_and_keys` has what a reload would exchange.
"""
