"""Meets the nodes and providers: probes, reads their state, places models.

`health` has a `poller` for each node, which probes it on a beat and reads its state when that is
wanted and one of a few `turns` is free; all that is asked goes out through `fetch`.
"""
