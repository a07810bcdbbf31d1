"""Moves of traffic between Exo and cloud: each is announced once, with its reason."""

from exo_supervisor.core.effects import Announce
from exo_supervisor.core.names import Side, Target

REMEMBERED = 4096
"""Names whose last side is remembered, so that a move can be told from a habit."""


class Moves:
    """Remembers which side answered for a name last."""

    def __init__(self) -> None:
        self._sides: dict[str, Side] = {}

    def answered(
        self, name: str, side: Side, *, home: Side, shift: str | None, target: Target
    ) -> Announce | None:
        """Take in who answered; the announcement, if the name's traffic moved by it."""
        was = self._sides.get(name, home)
        if len(self._sides) >= REMEMBERED and name not in self._sides:
            self._sides.clear()
        self._sides[name] = side
        if was == side:
            return None
        reason = "recovered" if side == home else shift or "attempt_failed"
        return Announce(
            level="info" if side == home else "warning",
            name="traffic_shifted",
            facts={"model": name, "from": was, "to": side, "reason": reason, "target": target},
        )
