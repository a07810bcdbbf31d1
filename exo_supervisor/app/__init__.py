"""Composes the service out of its rooms."""
