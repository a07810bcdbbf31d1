"""Puts breakers' transitions into log lines' terms."""

from collections.abc import Iterable

from exo_supervisor.core.breakers.table import Change, Failed
from exo_supervisor.core.effects import Announce, Effect
from exo_supervisor.core.names import RequestId

_NAMES = {
    "open": "breaker_opened",
    "half_open": "breaker_half_opened",
    "closed": "breaker_closed",
}
STATES = {name: state for state, name in _NAMES.items()}
"""What a breaker is now, by the name of what is announced of it."""


def announced(now: float, *changes: Change | None, by: RequestId | None = None) -> list[Effect]:
    """Announce what changed, and by which request."""
    return [_announce(change, by, now) for change in changes if change is not None]


def _announce(change: Change, by: RequestId | None, now: float) -> Announce:
    """Put a breaker's transition into a log line's terms; `rest` in seconds from now."""
    target, model = change.key
    facts: dict[str, object] = {
        "target": target,
        "model": model,
        "reason": change.cell.reason.value,
        "last": change.cell.last,
    }
    if (ends := change.cell.rest_ends()) is not None:
        facts["rest"] = round(max(0.0, ends - now), 3)
    if by is not None:
        facts["request_id"] = by
    if change.failures:
        facts["evidence"] = evidence_of(change.failures, now)
    level = "warning" if change.now == "open" else "info"
    return Announce(level=level, name=_NAMES[change.now], facts=facts)


def evidence_of(failures: Iterable[Failed], now: float) -> list[dict[str, object]]:
    """Put failures into a log line's terms; `ago` in seconds."""
    return [
        {
            "fault": each.fault,
            "status": each.status or None,
            "ago": round(now - each.at, 3),
            "request_id": each.request,
        }
        for each in failures
    ]
