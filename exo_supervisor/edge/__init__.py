"""Carries: the HTTP of clients, nodes and providers, and nothing that decides."""
