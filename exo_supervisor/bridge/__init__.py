"""The surface of the earlier bridge (ai-token-exo-bridge), as a view of the running service.

Every class of it is here, with its signatures, attributes and result keys; each is a thin read of
the service through `exo_supervisor.client`, which finds its socket by itself. No object here polls
nodes, starts servers or edits files by itself, and no number is made up: what is not known is None.

Programs that import the old modules (`src.bridge_manager`, `exo_integration`, ...) find them here
with one entry of the path:

    PYTHONPATH="$(python -m exo_supervisor.bridge --path)" python your_program.py

`exo_host` and `exo_port` name a node. The service finds nodes by itself; one that was named and
that it does not know is shown as offline (`discovery.static` tells the service of it).
"""

from exo_supervisor.bridge.exo_integration import ExoReliakitProvider, ExoTokenManagerIntegration
from exo_supervisor.bridge.exo_provider import ExoClusterProvider, ExoNode, ExoNodeStatus
from exo_supervisor.bridge.manager import ExoBridgeManager
from exo_supervisor.bridge.reliakit import (
    HealthChecker,
    HealthCheckResult,
    HealthStatus,
    RecoveryAction,
    ReliakitSelfHealingManager,
)
from exo_supervisor.bridge.unified import UnifiedLLMClient

__all__ = [
    "ExoBridgeManager", "ExoClusterProvider", "ExoNode", "ExoNodeStatus", "ExoReliakitProvider",
    "ExoTokenManagerIntegration", "HealthCheckResult", "HealthChecker", "HealthStatus",
    "RecoveryAction", "ReliakitSelfHealingManager", "UnifiedLLMClient",
]  # fmt: skip
