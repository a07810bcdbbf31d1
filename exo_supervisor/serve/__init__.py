"""Serves one request from its bytes to its end."""
