"""Nodes, the clusters they form, the models they serve, and the providers."""
