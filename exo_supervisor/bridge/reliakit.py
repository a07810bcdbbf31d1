"""Reliakit's health checks as the old bridge had them, with a recovery that is seen or is none."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from threading import Event, Thread
from typing import Protocol
from urllib.error import HTTPError
from urllib.request import urlopen

from exo_supervisor.bridge.exo_integration import ExoReliakitProvider, ExoTokenManagerIntegration
from exo_supervisor.bridge.exo_provider import local_now
from exo_supervisor.client.json_object import Fields, read_object

_MOST_RESULTS, _MOST_EVENTS, _MOST_RECOVERIES = 100, 500, 100
_RECENT, _SHOWN_EVENTS, _SHOWN_RECOVERIES = 20, 20, 10
_FAILING = 2
"""Failures in a row from which a target is failing."""
_MAX_BODY_BYTES = 65_536
_OK = 200


class HealthStatus(Enum):
    """How a target is; a recovering one has answered again, and not often enough yet."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILING = "failing"
    OFFLINE = "offline"
    RECOVERING = "recovering"


@dataclass
class HealthCheckResult:
    """One check; `metadata` is the JSON object that was answered."""

    timestamp: datetime
    healthy: bool
    status: HealthStatus
    latency_ms: float
    error: str | None = None
    metadata: Fields = field(default_factory=dict[str, object])

    def to_dict(self) -> Fields:
        """Return it with its status and time as texts."""
        times = {"timestamp": self.timestamp.isoformat(), "status": self.status.value}
        return {**vars(self), **times}


@dataclass
class RecoveryAction:
    """What was done for a target that failed; `success` was seen, not hoped for."""

    action_type: str
    target: str
    params: Fields = field(default_factory=dict[str, object])
    timestamp: datetime = field(default_factory=local_now)
    success: bool = False
    error: str | None = None


class HealthChecker:
    """Asks one URL how it is, and tells those who want to know when that changes."""

    def __init__(
        self,
        target_name: str,
        target_url: str,
        health_endpoint: str = "/health",
        check_interval: float = 10,
        timeout: float = 5,
        failure_threshold: int = 3,
        recovery_threshold: int = 2,
    ) -> None:
        self.target_name, self.target_url = target_name, target_url
        self.health_endpoint, self.check_interval = health_endpoint, check_interval
        self.timeout = timeout
        self.failure_threshold, self.recovery_threshold = failure_threshold, recovery_threshold
        self.current_status = HealthStatus.HEALTHY
        self.consecutive_failures = self.consecutive_successes = 0
        self.last_check_time: datetime | None = None
        self.history: deque[HealthCheckResult] = deque(maxlen=_MOST_RESULTS)
        self.on_failure_callbacks: list[Callable[[str, str], object]] = []
        self.on_recovery_callbacks: list[Callable[[str], object]] = []
        self.on_status_change_callbacks: list[
            Callable[[str, HealthStatus, HealthStatus], object]
        ] = []

    def on_failure(self, callback: Callable[[str, str], object]) -> None:
        self.on_failure_callbacks.append(callback)

    def on_recovery(self, callback: Callable[[str], object]) -> None:
        self.on_recovery_callbacks.append(callback)

    def on_status_change(
        self, callback: Callable[[str, HealthStatus, HealthStatus], object]
    ) -> None:
        self.on_status_change_callbacks.append(callback)

    def check(self) -> HealthCheckResult:
        """Ask once, and say what came of it: any 200 is well, whatever its body."""
        began = time.monotonic()
        error, body = self._ask()
        latency = (time.monotonic() - began) * 1000
        self._count(error)
        self.last_check_time = local_now()
        result = HealthCheckResult(
            self.last_check_time, error is None, self.current_status, latency, error, body
        )
        self.history.append(result)
        return result

    def get_stats(self) -> Fields:
        """Tell how it was lately."""
        told: Fields = {"target": self.target_name, "status": self.current_status.value}
        recent = list(self.history)[-_RECENT:]
        if not recent or self.last_check_time is None:
            return {**told, "checks": 0}
        return {
            **told,
            "consecutive_failures": self.consecutive_failures,
            "consecutive_successes": self.consecutive_successes,
            "checks": len(self.history),
            "recent_success_rate": sum(each.healthy for each in recent) / len(recent),
            "avg_latency_ms": sum(each.latency_ms for each in recent) / len(recent),
            "last_check": self.last_check_time.isoformat(),
        }

    def _ask(self) -> tuple[str | None, Fields]:
        url = f"{self.target_url}{self.health_endpoint}"
        try:
            with urlopen(url, timeout=self.timeout) as answer:  # noqa: S310 - whoever made this named it
                body: bytes = answer.read(_MAX_BODY_BYTES)
                return None if answer.status == _OK else f"HTTP {answer.status}", read_object(body)
        except HTTPError as error:
            with error:
                return f"HTTP {error.code}", {}
        except (OSError, ValueError) as error:
            late = isinstance(getattr(error, "reason", error), TimeoutError)
            return "Timeout" if late else str(error), {}

    def _count(self, error: str | None) -> None:
        """Count it, and move on: each state leads to every other, and none is for ever."""
        if error is None:
            self.consecutive_failures = 0
            self.consecutive_successes += 1
            ill = self.current_status is not HealthStatus.HEALTHY
            if ill and self.consecutive_successes >= self.recovery_threshold:
                self._become(HealthStatus.HEALTHY)
                for recovered in self.on_recovery_callbacks:
                    recovered(self.target_name)
            elif ill:
                self._become(HealthStatus.RECOVERING)
            return
        self.consecutive_successes = 0
        self.consecutive_failures += 1
        was = self.current_status
        if self.consecutive_failures >= self.failure_threshold:
            self._become(HealthStatus.OFFLINE)
            if was is not HealthStatus.OFFLINE:
                for failed in self.on_failure_callbacks:
                    failed(self.target_name, error)
        elif was is not HealthStatus.OFFLINE:
            failing = self.consecutive_failures >= _FAILING
            self._become(HealthStatus.FAILING if failing else HealthStatus.DEGRADED)

    def _become(self, status: HealthStatus) -> None:
        was, self.current_status = self.current_status, status
        if was is not status:
            for changed in self.on_status_change_callbacks:
                changed(self.target_name, was, status)


class _Bridge(Protocol):
    """What the manager needs of an ExoBridgeManager."""

    @property
    def integration(self) -> ExoTokenManagerIntegration: ...


class ReliakitSelfHealingManager:
    """Checks targets, one after the other in a thread of its own, and recovers those that fail.

    Traffic does not wait for it: the service's own breakers move that at once. What a recovery does
    is release held breakers and place missing models, and it counts once Exo was seen to serve.
    """

    def __init__(
        self,
        bridge_manager: _Bridge,
        check_interval: float = 10,
        enable_auto_recovery: bool = True,  # noqa: FBT001, FBT002 - the old signature
    ) -> None:
        self.bridge, self.check_interval = bridge_manager, check_interval
        self.enable_auto_recovery = enable_auto_recovery
        self.exo = ExoReliakitProvider(bridge_manager.integration)
        self.checkers: dict[str, HealthChecker] = {}
        self.event_log: deque[Fields] = deque(maxlen=_MOST_EVENTS)
        self.recovery_log: deque[RecoveryAction] = deque(maxlen=_MOST_RECOVERIES)
        self._stopped = Event()
        self._thread: Thread | None = None

    def add_target(self, name: str, url: str, health_endpoint: str = "/health") -> HealthChecker:
        """Check this target, too, from the next round on."""
        checker = HealthChecker(name, url, health_endpoint, self.check_interval)
        checker.on_failure(self._failed)
        checker.on_recovery(lambda name: self._log("target_recovery", {"target": name}))
        checker.on_status_change(self._changed)
        self.checkers[name] = checker
        self._log("target_added", {"name": name, "url": url})
        return checker

    def start(self) -> None:
        """Begin to check."""
        if self._thread is None:
            self._stopped.clear()
            self._thread = Thread(target=self._run, daemon=True)
            self._log("manager_started", {})
            self._thread.start()

    def stop(self) -> None:
        """Check no more; a check that runs is waited for."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopped.set()
            thread.join()
            self._log("manager_stopped", {})

    def get_system_status(self) -> Fields:
        """Tell of all targets, and what happened lately."""
        recoveries = list(self.recovery_log)[-_SHOWN_RECOVERIES:]
        return {
            "manager": {
                "running": self._thread is not None,
                "check_interval": self.check_interval,
                "auto_recovery": self.enable_auto_recovery,
                "targets": len(self.checkers),
            },
            "targets": {name: each.get_stats() for name, each in [*self.checkers.items()]},
            "recent_events": list(self.event_log)[-_SHOWN_EVENTS:],
            "recent_recoveries": [
                {**vars(each), "timestamp": each.timestamp.isoformat()} for each in recoveries
            ],
        }

    def get_events_since(self, timestamp: datetime) -> list[Fields]:
        since = timestamp.isoformat()
        return [event for event in [*self.event_log] if str(event["timestamp"]) > since]

    def force_check(self, target_name: str | None = None) -> HealthCheckResult | Fields:
        """Check one target now, or all of them. Raises ValueError for an unknown name."""
        if target_name is None:
            return {name: self._check(name).to_dict() for name in [*self.checkers]}
        if target_name not in self.checkers:
            known = ", ".join(self.checkers) or "none was added"
            raise ValueError(f"there is no target {target_name}; there are: {known}")
        return self._check(target_name)

    def _run(self) -> None:
        while not self._stopped.is_set():
            for name in [*self.checkers]:
                self._check(name)
            self._stopped.wait(self.check_interval)

    def _check(self, name: str) -> HealthCheckResult:
        result = self.checkers[name].check()
        if not result.healthy:
            told = {"target": name, "error": result.error, "status": result.status.value}
            self._log("health_check_failed", told)
        return result

    def _failed(self, name: str, error: str) -> None:
        self._log("target_failure", {"target": name, "error": error})
        if not self.enable_auto_recovery:
            return
        is_exo = "exo" in name.lower()
        action = RecoveryAction("restart" if is_exo else "notify", name, {"reason": error})
        self.recovery_log.append(action)
        if not is_exo:
            self._log("cloud_provider_failure", {"provider": name, "error": error})
            action.error = "a cloud mends itself: the service asks it again when its breaker may"
            return
        self._log("exo_failover", {"node": name, "error": error})
        action.success = self.exo.attempt_recovery()
        if not action.success:
            action.error = "no node was seen to serve"
            self._log("recovery_failed", {"target": name, "error": action.error})

    def _changed(self, name: str, was: HealthStatus, now: HealthStatus) -> None:
        told = {"target": name, "old_status": was.value, "new_status": now.value}
        self._log("status_change", told)

    def _log(self, kind: str, data: Mapping[str, object]) -> None:
        self.event_log.append(
            {"timestamp": local_now().isoformat(), "type": kind, "data": dict(data)}
        )
