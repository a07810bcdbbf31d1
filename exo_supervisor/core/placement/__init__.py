"""Keeps models placed on clusters, as configured and as ordered."""
