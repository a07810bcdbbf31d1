"""What attempts say: booked at the breakers, the meters and the marks of the busy."""

from exo_supervisor.core.breaker import Mark
from exo_supervisor.core.breakers import Change, Key
from exo_supervisor.core.effects import Announce, Effect, ReadPlacement
from exo_supervisor.core.events import AttemptSettled
from exo_supervisor.core.flights import Attempt, Flight, Held, Permits
from exo_supervisor.core.names import Address, ProviderName
from exo_supervisor.core.options import Busy, Option, Tables
from exo_supervisor.core.outcomes import CLOSED_AT_WORK, VERDICTS, Blame, Fault

BUSY_FIRST = 1.0
BUSY_MAX = 30.0
"""Seconds for which a busy target that names no time is left alone: first, doubling, at most."""


class Books:
    """Writes the tables down; every permit that it hands out comes back to it once."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def begin(self, option: Option, now: float, *, early: bool) -> tuple[Permits, list[Effect]]:
        """Take both permits of an option and count the attempt in."""
        tables, changes = self._tables, list[Change]()
        target, model = option.guards()
        permits = Permits(
            (target, tables.breakers.take(target, now, changes, early=early)),
            (model, tables.breakers.take(model, now, changes, early=early)),
        )
        tables.meters.began(option.target)
        if (bench := option.bench()) is not None:
            tables.seats.sit(bench)
        return permits, [announce_change(change, now) for change in changes]

    def content(self, flight: Flight, attempt: Attempt, ttft: float, now: float) -> list[Effect]:
        """Book the first content as success, and the held failures of others as failures."""
        attempt.content = True
        option, tables, changes = attempt.option, self._tables, list[Change]()
        target, model = option.guards()
        attempt.owed = tables.breakers.failures(target), tables.breakers.failures(model)
        self._mark(attempt.permits.target, Mark.SUCCESS, now, changes)
        self._mark(attempt.permits.model, Mark.SUCCESS, now, changes)
        for held in flight.held:  # only another's answer tells that the request was not to blame
            same = held.model[0] == attempt.permits.model[0]
            mark = Mark.ABANDONED if same else Mark.FAILURE
            self._mark(held.model, mark, now, changes, held.draw, held.fault.value)
        flight.held.clear()
        tables.busy.pop(option.target, None)
        tables.meters.saw(option.target, option.model, ttft, now)
        if option.generation is None:
            tables.clouds.took_key(ProviderName(option.target))
        else:
            tables.prefill.saw(option.scope, option.model, flight.event.size, ttft)
        return [announce_change(change, now) for change in changes]

    def settle(
        self, flight: Flight, attempt: Attempt, event: AttemptSettled, now: float
    ) -> list[Effect]:
        """Give both permits back with what the attempt says of each breaker."""
        verdict, last, changes = VERDICTS[event.fault], event.fault.value, list[Change]()
        rest = Mark.SUCCESS if event.fault is Fault.NONE else Mark.ABANDONED
        target = Mark.FAILURE if verdict.blame is Blame.TARGET else rest
        owed_target, owed_model = attempt.owed
        self._mark(attempt.permits.target, target, now, changes, event.draw, last, owed_target)
        model = attempt.permits.model
        if verdict.blame is not Blame.MODEL:
            self._mark(model, rest, now, changes, event.draw, last)
        elif event.committed or attempt.content:
            self._mark(model, Mark.FAILURE, now, changes, event.draw, last, owed_model)
        else:
            flight.held.append(Held(attempt.option.scope, event.fault, model, event.draw))
        self._count_out(attempt.option)
        if event.fault in CLOSED_AT_WORK:
            self._tables.registry.note_aborted(attempt.option.scope)
        return [announce_change(change, now) for change in changes] + self._learn(
            flight, attempt.option, event, now
        )

    def give_back(self, flight: Flight, now: float) -> list[Effect]:
        """Return the permits of failures that no other target outdid: they count nowhere."""
        changes: list[Change] = []
        for held in flight.held:
            self._mark(held.model, Mark.ABANDONED, now, changes)
        flight.held.clear()
        return [announce_change(change, now) for change in changes]

    def _learn(
        self, flight: Flight, option: Option, event: AttemptSettled, now: float
    ) -> list[Effect]:
        """Take in what an attempt's end says of its target beyond health."""
        if option.generation is None:
            self._tables.clouds.attempted(ProviderName(option.target), event.fault)
        if event.fault is Fault.BUSY:
            self._back_off(flight, option, event.retry_after, now)
            return []
        flight.seen.failed.add(option.target)
        if VERDICTS[event.fault].blame is Blame.MODEL or event.fault is Fault.CONTEXT_LENGTH:
            flight.seen.skipped.add(option.scope)
        if event.fault is Fault.BAD_KEY and option.generation is None:
            self._tables.clouds.refused_key(ProviderName(option.target), now)
            facts: dict[str, object] = {"provider": option.target, "status": event.status}
            return [Announce(level="error", name="provider_key_refused", facts=facts)]
        if event.fault is Fault.NOT_PLACED and option.generation is not None:
            self._tables.registry.unplace(Address(option.target), option.model, now)
            return [ReadPlacement(node=Address(option.target))]
        return []

    def _back_off(
        self, flight: Flight, option: Option, retry_after: float | None, now: float
    ) -> None:
        mark = self._tables.busy.get(option.target)
        streak = 1 if mark is None else mark.streak + 1
        pause = retry_after
        if pause is None:
            pause = min(BUSY_MAX, BUSY_FIRST * 2.0 ** min(streak - 1, 10))
        self._tables.busy[option.target] = Busy(now + pause, streak)
        flight.busy_tries[option.target] = flight.busy_tries.get(option.target, 0) + 1

    def _count_out(self, option: Option) -> None:
        tables = self._tables
        tables.meters.ended(option.target)
        if (bench := option.bench()) is not None:
            tables.seats.rise(bench)

    def _mark(
        self,
        permit: tuple[Key, int],
        mark: Mark,
        now: float,
        changes: list[Change],
        draw: float = 0.0,
        last: str = "",
        owed: int = 0,
    ) -> None:
        key, epoch = permit
        self._tables.breakers.settle(key, epoch, mark, now, draw, changes, last=last, owed=owed)


def announce_change(change: Change, now: float) -> Announce:
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
    names = {"open": "breaker_opened", "half_open": "breaker_half_opened"}
    name = names.get(change.now, "breaker_closed")
    return Announce(level="warning" if change.now == "open" else "info", name=name, facts=facts)
