"""How soon a crashed service may start again, and when starting it again has become pointless."""

from msgspec import Struct

MOST = 5  # restarts within one window; the next crash finds none left
WINDOW = 60.0  # seconds
CALM = 60.0  # seconds of running, after which old crashes are forgotten
FIRST_PAUSE = 0.5  # seconds, doubled by each further crash of the window
LONGEST_PAUSE = 5.0  # seconds
DEGRADED_PAUSE = 60.0  # seconds between the tries of an optional service that has none left


class Restarts(Struct, frozen=True, kw_only=True):
    """The restarts one service has spent.

    An `essential` service that has none left gives up; an optional one goes on, degraded, with one
    try a minute. `crashes` holds at most six times; `resumes` is when the last pause ends.
    """

    essential: bool
    crashes: tuple[float, ...] = ()
    resumes: float = 0.0

    @property
    def spent(self) -> bool:
        """Whether the last crash found no restart left."""
        return len(self.crashes) > MOST

    def spend(self, now: float) -> tuple["Restarts", float | None]:
        """Book a crash at `now`; answer the seconds to wait before a restart, None for never."""
        crashes = (*self._remembered(now), now)
        pause = _pause(len(crashes))
        if pause is None and not self.essential:
            pause = DEGRADED_PAUSE
        resumes = now + (pause or 0.0)
        return Restarts(essential=self.essential, crashes=crashes, resumes=resumes), pause

    def _remembered(self, now: float) -> tuple[float, ...]:
        if now - self.resumes >= CALM:
            return ()
        if self.spent:  # pauses of a minute must not pass for calm: only running clears this
            return self.crashes[1:]
        return tuple(crash for crash in self.crashes if now - crash < WINDOW)


def _pause(crashes: int) -> float | None:
    if crashes > MOST:
        return None
    return min(FIRST_PAUSE * 2.0 ** (crashes - 1), LONGEST_PAUSE)
