"""Meets the nodes and providers: probes, reads their state, places models."""
