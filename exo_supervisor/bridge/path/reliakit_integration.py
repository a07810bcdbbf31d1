"""The old module of this name."""

from exo_supervisor.bridge import (
    HealthChecker,
    HealthCheckResult,
    HealthStatus,
    RecoveryAction,
    ReliakitSelfHealingManager,
)

__all__ = [
    "HealthCheckResult", "HealthChecker", "HealthStatus", "RecoveryAction",
    "ReliakitSelfHealingManager",
]  # fmt: skip
