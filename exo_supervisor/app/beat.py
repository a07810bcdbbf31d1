"""What systemd hears of us while we run."""

from collections.abc import Callable

from exo_supervisor.host import systemd

STATUS_PAUSE = 1.0
"""Seconds between two looks at what the `Status:` line should say."""


class Beat:
    """Feeds systemd's watchdog with each turn, and its `Status:` line at most once a second."""

    def __init__(self, summary: Callable[[], str], clock: Callable[[], float]) -> None:
        self._summary, self._clock = summary, clock
        self._next, self._said = 0.0, ""

    def send(self) -> None:
        if (now := self._clock()) < self._next:
            systemd.notify("WATCHDOG=1")
            return
        self._next = now + STATUS_PAUSE
        if (said := self._summary()) != self._said:
            self._said = said
            systemd.notify(f"WATCHDOG=1\nSTATUS={said}")
        else:
            systemd.notify("WATCHDOG=1")
