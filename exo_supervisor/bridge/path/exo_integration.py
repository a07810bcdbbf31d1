"""The old module of this name."""

from exo_supervisor.bridge import ExoReliakitProvider, ExoTokenManagerIntegration

__all__ = ["ExoReliakitProvider", "ExoTokenManagerIntegration"]
