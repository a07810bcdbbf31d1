"""The old module of this name."""

from exo_supervisor.bridge import ExoClusterProvider, ExoNode, ExoNodeStatus

__all__ = ["ExoClusterProvider", "ExoNode", "ExoNodeStatus"]
