"""What systemd hears of us while we run."""

from collections.abc import Callable

from exo_supervisor.host import systemd

PAUSE = 0.1
"""Seconds between two words to the watchdog: a large house turns hundreds of times in one."""
STATUS_PAUSE = 1.0
"""Seconds between two looks at what the `Status:` line should say."""


class Beat:
    """Feeds systemd's watchdog while we turn, and its `Status:` line at most once a second."""

    def __init__(
        self,
        summary: Callable[[], str],
        clock: Callable[[], float],
        notify: Callable[[str], None] = systemd.notify,
    ) -> None:
        self._summary, self._clock, self._notify = summary, clock, notify
        self._next, self._looks_at, self._said = 0.0, 0.0, ""

    def send(self) -> None:
        if (now := self._clock()) < self._next:
            return
        self._next = now + PAUSE
        if now >= self._looks_at:
            self._looks_at = now + STATUS_PAUSE
            if (said := self._summary()) != self._said:
                self._said = said
                self._notify(f"WATCHDOG=1\nSTATUS={said}")
                return
        self._notify("WATCHDOG=1")
