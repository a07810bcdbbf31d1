"""When what of an attempt is due: from its timers, and from its progress so far.

Only progress of the model moves these instants; comments of the transport do not. They are half of
it: the deadlines, and a client or a room that keeps the attempt from reading, are looked at in
`attempt._overdue`; and whether a silent attempt may go on is the state's to say, which
`core.requests.stall_check` asks once it is told of the silence (`asks_at`).

A name with `_by` is an instant by which something must have come: `head_by` and `progress_by` from
the target, `commit_by` and `end_by` for the client; one with `_at` says when something was, or is
to be done.
"""

from math import inf

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.exo.traits import TRAITS

ASK_AGAIN = 10.0
"""Seconds from one question about a silent attempt to the next."""
STEP_TOKENS = 4096
"""Tokens of a prompt that Exo reads in one step; it tells how far it is between two of them."""
STEP_PATIENCE = 3.0
"""How many times as long as the last step the next one may take."""
SLOW_CLIENT = 60.0
"""Seconds for which a client may leave what it was sent unread before it counts as gone."""
KEEPALIVE_PERIOD = 10.0
"""Seconds between two comments that keep a waiting client awake, as in Exo since v1.0.70."""
WORTH_A_WORD = 1.0
"""Seconds of silence in the midst of an answer from which on that is told."""
ERROR_WAIT = 2.0
"""Seconds for which the body of an error is waited for."""


class Progress:
    """An attempt's progress, and what is due if there is no more; `begun`: it brought content.

    The ticker stamps it (`since`), a tick late at most.
    """

    __slots__ = (
        "_prefilled", "_read_since", "_step", "asked_at", "began", "begun", "longest", "since",
        "start",
    )  # fmt: skip

    def __init__(self, start: StartAttempt, now: float) -> None:
        self.start = start
        self.began = self.since = self._read_since = now
        self.asked_at = -inf
        self.begun = False
        self._prefilled: int = 0
        self._step = self.longest = 0.0
        """`longest` are the seconds of its longest silence in the midst of its content."""

    def note_prefill(self, processed: int, now: float) -> None:
        """Learn how long a step of the prompt takes: the next is expected to take as long."""
        if processed != self._prefilled:
            read = max(1, processed - self._prefilled)
            self._step = (now - self.since) * STEP_TOKENS / read
            self._prefilled = processed

    def note_silence(self, now: float) -> None:
        """Take in that it was silent until now, after its first content."""
        if self.begun and now - self.since > self.longest:
            self.longest = now - self.since

    def resume(self, now: float) -> None:
        """Give the target its whole time: until now it was not read."""
        self.since = self._read_since = now

    def head_by(self) -> float:
        """Return when the head of the answer is overdue."""
        timers = self.start.timers
        return self.began + (timers.first_content if timers.headers is None else timers.headers)

    def unopened(self) -> Fault:
        """Name what it is when no head comes by then."""
        timeless = self.start.timers.headers is None
        return Fault.FIRST_CONTENT_TIMEOUT if timeless else Fault.HEADERS_TIMEOUT

    def silent(self, now: float) -> Fault | None:
        """Say whether an answer that has opened is silent for too long."""
        if now < self.progress_by():
            return None
        return Fault.STALL if self.begun else Fault.FIRST_CONTENT_TIMEOUT

    def progress_by(self) -> float:
        """Return when the attempt fails if nothing more comes.

        Who has no state to vouch for it tells of no progress before the content, so that it has a
        fixed time. For the others the state vouches, at most for `first_content_max`; one that
        tells how far it is with its prompt tells by standing still, too.
        """
        timers = self.start.timers
        if not TRAITS[self.start.generation].has_state:
            if self.begun:
                return self.since + timers.stall
            return self._read_since + timers.first_content
        most = timers.first_content_max
        if self._step and not self.begun:
            most = min(most, max(timers.first_content, STEP_PATIENCE * self._step))
        return self.since + most

    def asks_at(self) -> float:
        """Return when the state is asked whether the attempt can still finish.

        At half a stall, each ten seconds from then on, and at the instant from which on nobody may
        be silent without somebody who vouches.
        """
        if not TRAITS[self.start.generation].exo:
            return inf
        timers = self.start.timers
        alone = self.since + (timers.stall if self.begun else timers.first_content)
        if self.asked_at < self.since:
            half = timers.stall / 2
            sooner = half if self.begun or timers.quiet is None else min(half, timers.quiet)
            return min(alone, self.since + sooner)
        again = self.asked_at + ASK_AGAIN
        return min(alone, again) if self.asked_at < alone else again
