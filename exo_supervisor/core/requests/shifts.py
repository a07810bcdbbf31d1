"""Moves of traffic between Exo and cloud: each is announced once, with its reason."""

from math import inf

from msgspec import Struct, field

from exo_supervisor.core.effects import Announce
from exo_supervisor.core.names import Side
from exo_supervisor.core.requests.passed_over import evidence_for
from exo_supervisor.core.requests.request import Attempt, RequestState
from exo_supervisor.core.tables import Tables

REMEMBERED = 4096
"""Names whose last side is remembered, so that a move can be told from a habit."""
AGAIN = 60.0
"""Seconds for which a second move to the same side is not announced at once."""
LASTING = 10.0
"""Seconds without an answer of the other side after which such a move is announced all the same."""


class _Traffic(Struct):
    """Where a name's traffic goes as far as was announced, and what speaks for a move."""

    side: Side
    announced: dict[Side, float] = field(default_factory=dict[Side, float])
    strays_since: float | None = None


class Shifts:
    """Remembers which side answered for a name last.

    A target that has recovered gets its traffic back step by step, so that for a while the sides
    answer in turn: that is one move and not a hundred.
    """

    def __init__(self) -> None:
        self._traffic: dict[str, _Traffic] = {}

    def served(
        self, state: RequestState, attempt: Attempt, tables: Tables, now: float
    ) -> list[Announce]:
        """Take in who serves a request; announce a move with what led to it."""
        route, side = state.route, attempt.side
        traffic = self._traffic.get(route.name)
        if traffic is None:
            if len(self._traffic) >= REMEMBERED:
                self._traffic.clear()
            traffic = self._traffic[route.name] = _Traffic(route.first)
        if side == traffic.side:
            traffic.strays_since = None
            return []
        if not _moves(traffic, side, now):
            return []
        was, traffic.side = traffic.side, side
        traffic.announced[side], traffic.strays_since = now, None
        back = side == route.first
        facts: dict[str, object] = {
            "model": route.name,
            "from": was,
            "to": side,
            "reason": "recovered" if back else state.shift or "attempt_failed",
            "target": attempt.candidate.target,
            "request_id": state.event.request,
            "evidence": evidence_for(state, attempt, tables, now),
        }
        level = "info" if back else "warning"
        return [Announce(level=level, name="traffic_shifted", facts=facts)]


def _moves(traffic: _Traffic, side: Side, now: float) -> bool:
    """Say whether an answer of a side is a move; one that comes back soon has to last."""
    if now - traffic.announced.get(side, -inf) >= AGAIN:
        return True
    if traffic.strays_since is None:
        traffic.strays_since = now
    return now - traffic.strays_since >= LASTING
