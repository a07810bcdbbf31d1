"""The old package `src`: its modules are those beside it."""

from pathlib import Path

from exo_supervisor.bridge import (
    ExoClusterProvider,
    ExoReliakitProvider,
    ExoTokenManagerIntegration,
)

__path__ = [str(Path(__file__).parent.parent)]
__all__ = ["ExoClusterProvider", "ExoReliakitProvider", "ExoTokenManagerIntegration"]
