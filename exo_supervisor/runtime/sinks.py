"""Where what happened goes: each end of a request, and each thing that the core announces.

A sink takes both, for people or for its own books: the log, and whatever counts, keeps or shows. It
must not wait. One that raises hurts neither what it was told of nor the other sinks.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import structlog

from exo_supervisor.core.effects import Announce
from exo_supervisor.runtime.supervise import describe_crash
from exo_supervisor.views.request_done import RequestDone, RequestLine

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("sinks")
T = TypeVar("T")


class Sink(Protocol):
    """One taker; `name` is what it goes by where it fails."""

    @property
    def name(self) -> str: ...

    def done(self, record: RequestDone) -> None:
        """Take in how a request ended; the record changes no more."""
        ...

    def announce(self, said: Announce) -> None:
        """Take in what the core announces."""
        ...


@runtime_checkable
class EarlySink(Protocol):
    """A sink that is told of beginnings, too."""

    def started(self, line: RequestLine) -> None:
        """Take in that a request was read, and is to be served."""
        ...


class Sinks:
    """Tells every sink of everything, in their order, each in a guard of its own."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._started = [(each.name, each.started) for each in sinks if isinstance(each, EarlySink)]
        self._done = [(sink.name, sink.done) for sink in sinks]
        self._announce = [(sink.name, sink.announce) for sink in sinks]
        self.failures = {sink.name: 0 for sink in sinks}

    def started(self, line: RequestLine) -> None:
        """Tell of a request that begins."""
        self._tell(self._started, line)

    def done(self, record: RequestDone) -> None:
        """Tell of a request that is over, once."""
        self._tell(self._done, record)

    def announce(self, said: Announce) -> None:
        """Tell what the core announces."""
        self._tell(self._announce, said)

    def _tell(self, takers: Sequence[tuple[str, Callable[[T], None]]], what: T) -> None:
        for name, take in takers:
            # A sink is called inside of a request's end and of the conductor's turn, which no
            # supervisor of its own stands around, and what it may raise is its writer's to know:
            # nothing narrower keeps its fault from being theirs.
            try:
                take(what)
            except Exception as crash:  # noqa: BLE001 -- see above
                self._failed(name, crash)

    def _failed(self, name: str, crash: Exception) -> None:
        """Count a failure, and tell of the first, the second, the fourth and so on."""
        self.failures[name] = failures = self.failures[name] + 1
        if failures & (failures - 1) == 0:
            log.error("sink_failed", sink=name, failures=failures, crash=describe_crash(crash))
