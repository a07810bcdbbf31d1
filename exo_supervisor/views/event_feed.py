"""What happens, for those who listen: a ring of the last events, and each listener's place in it.

A sink. An event is written once for all, and only while somebody listens or has just left; else it
takes a number and nothing more. Nobody has a queue of their own: who reads so slowly that the ring
has lost what comes next for them is told how much they missed, and goes on from now.

An event's id is the run's name and its number. A number alone would be given again after a restart.
"""

import re
from collections import deque
from collections.abc import Callable
from typing import Self

import msgspec
from msgspec import Struct

from exo_supervisor.core.effects import Announce
from exo_supervisor.errors import SupervisorError
from exo_supervisor.views.as_json import bounded_json, request_json
from exo_supervisor.views.facts import safe_fact, safe_text
from exo_supervisor.views.request_done import RequestDone, RequestLine

MOST_EVENTS = 2048
MOST_BYTES = 1024 * 1024
"""Of the texts of all events that are kept."""
MOST_LISTENERS = 32
SPARE = 4
"""The last part of these places, one in so many, is for owners that listen nowhere yet."""
BATCH = 32 * 1024
"""Bytes that a listener is handed at once, unless a single event has more."""
_ID = re.compile(r"([0-9a-f]{16})-([0-9]{1,18})", re.ASCII)
_MOST_TRIED = 4096  # bytes of a request's attempts which need no closer look


class TooManyListenersError(SupervisorError):
    """No place is left for another listener."""


class BadEventIdError(SupervisorError):
    """What was said to be the id of the last event is none of any run's."""


Owner = tuple[str, int | None]
"""Whose request an event tells of, or who listens: a client's name and user."""
Sees = Callable[[str, int | None], bool]
"""Says whether a listener may hear of the requests of a client and user."""


class Shift(Struct, frozen=True):
    """The last move of traffic between Exo and cloud."""

    ts: str
    facts: dict[str, object]


class EventFeed:
    """Owns the ring; `run` names this run in 16 hex digits, `stamp` writes the time."""

    name = "events"

    def __init__(
        self,
        run: str,
        stamp: Callable[[], str],
        *,
        most: int = MOST_EVENTS,
        most_bytes: int = MOST_BYTES,
        most_listeners: int = MOST_LISTENERS,
    ) -> None:
        self._run, self._stamp = run, stamp
        self._most, self._most_bytes, self._most_listeners = most, most_bytes, most_listeners
        self.ring = deque[tuple[Owner | None, bytes]]()
        self.last = 0
        """The number of the newest event; that of the ring's first is as many less as it holds."""
        self._size = 0
        self._unheard = 0  # events that are still kept for one who left and may come back
        self._listeners: set[Subscription] = set()
        self.last_shift: Shift | None = None
        self.closed = False

    # ---------------------------------------------------------------- what happens

    def started(self, line: RequestLine) -> None:
        """Take in that a request was read and is to be served."""
        if self._kept():
            facts: dict[str, object] = {
                "request_id": line.request_id, "client": line.client, "model": line.model,
                "dialect": line.dialect,
            }  # fmt: skip
            self._tell("info", "request_started", facts, (line.client, line.client_uid))

    def done(self, record: RequestDone) -> None:
        """Take in how a request ended."""
        if not self._kept():
            return
        line, owner = record.line, (record.line.client, record.line.client_uid)
        facts, tried = request_json(line), msgspec.json.encode(record.tried)
        if facts is None or len(tried) > _MOST_TRIED or not tried.isascii() or b"\x7f" in tried:
            self._tell("info", "request_done", {**line.facts(), "tried": record.tried}, owner)
            return
        both = b'%b,"tried":%b}' % (facts[:-1], tried)
        self._append("request_done", self.stamped("request_done", both), owner)

    def announce(self, said: Announce) -> None:
        """Take in what the core announces."""
        if said.name == "traffic_shifted":
            self.last_shift = Shift(self._stamp(), said.facts)
        if self._kept():
            self._tell(said.level, said.name, said.facts)

    def close(self) -> None:
        """Let every listener come to an end."""
        self.closed = True
        self._wake()

    def _kept(self) -> bool:
        """Say whether the next event is to be written; one that is not has taken its number."""
        if self._listeners:
            return True
        if self._unheard:
            self._unheard -= 1
            return True
        if self.ring:
            self.ring.clear()
            self._size = 0
        self.last += 1
        return False

    def _tell(
        self, level: str, name: str, facts: dict[str, object], owner: Owner | None = None
    ) -> None:
        self._append(name, self.text(level, name, facts), owner)

    def text(self, level: str, name: str, facts: dict[str, object]) -> bytes:
        """Write an event's data as its line in the log is written."""
        safe = {key: safe_fact(key, fact) for key, fact in facts.items()}
        return bounded_json({"ts": self._stamp(), "level": level, "event": safe_text(name), **safe})

    def stamped(self, name: str, facts: bytes) -> bytes:
        """Put before facts that are written what each event begins with."""
        head = f'{{"ts":"{self._stamp()}","level":"info","event":"{name}",'
        return head.encode() + facts[1:]

    def _append(self, name: str, data: bytes, owner: Owner | None) -> None:
        self.last += 1
        event = self.framed(name, data, self.last)
        self.ring.append((owner, event))
        self._size += len(event)
        while len(self.ring) > self._most or self._size > self._most_bytes:
            self._size -= len(self.ring.popleft()[1])
        self._wake()

    def framed(self, name: str, data: bytes, place: int) -> bytes:
        """Write an event as it is sent; `place` is from where its reader goes on."""
        return f"id: {self._run}-{place}\nevent: {name}\ndata: ".encode() + data + b"\n\n"

    # ---------------------------------------------------------------- who listens

    def listen(
        self, last: str | None, wake: Callable[[], None], sees: Sees, whose: Owner
    ) -> "Subscription":
        """Take a listener in, who heard the event `last` before; `wake` tells it of news.

        Of what it may not see it hears nothing; the numbers of those events are left out.

        Raises BadEventIdError and TooManyListenersError.
        """
        after, is_known = self._place_of(last)
        self._find_place(whose)
        listener = Subscription(self, after, wake, sees, whose, is_known=is_known)
        self._listeners.add(listener)
        return listener

    def _find_place(self, whose: Owner) -> None:
        most, own = self._most_listeners, sum(each.whose == whose for each in self._listeners)
        if len(self._listeners) >= most:
            text = f"{most} listeners are there, which is as many as may be"
            raise TooManyListenersError(text)
        if own and len(self._listeners) >= most - most // SPARE:
            text = f"you listen {own} times, and the last places are for others: end one of these"
            raise TooManyListenersError(text)

    def leave(self, listener: "Subscription") -> None:
        """Let a listener go; what comes is kept for as many events as the ring holds."""
        self._listeners.discard(listener)
        if not self._listeners:
            self._unheard = self._most

    def _place_of(self, last: str | None) -> tuple[int, bool]:
        if not last:
            return self.last, True
        read = _ID.fullmatch(last)
        if read is None:
            raise BadEventIdError("this is not the id of an event")
        number = int(read[2])
        if read[1] != self._run or number > self.last:
            return self.last, False
        return number, True

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.wake()


class Subscription:
    """One listener's place, from which it takes what is due; leaving the context lets it go."""

    def __init__(
        self,
        feed: EventFeed,
        after: int,
        wake: Callable[[], None],
        sees: Sees,
        whose: Owner,
        *,
        is_known: bool,
    ) -> None:
        self._feed, self.after, self.wake, self.whose = feed, after, wake, whose
        self._sees, self._is_known = sees, is_known

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._feed.leave(self)

    def take(self) -> bytes:
        """Return the next events, in a batch, or that some were missed; nothing if all is read."""
        feed, ring = self._feed, self._feed.ring
        missing = feed.last - self.after
        if not self._is_known or missing > len(ring):
            missed = missing if self._is_known else None
            self.after, self._is_known = feed.last, True
            data = feed.text("warning", "lagged", {"missed": missed})
            return feed.framed("lagged", data, self.after)
        batch, size = list[bytes](), 0
        for place in range(-missing, 0):
            owner, event = ring[place]
            if owner is None or self._sees(*owner):
                size += len(event)
                if batch and size > BATCH:
                    break
                batch.append(event)
            self.after += 1
        return b"".join(batch)
