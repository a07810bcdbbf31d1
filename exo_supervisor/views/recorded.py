"""What the flight recorder kept, as it is shown: a request's story, moves of traffic, trips."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import asdict

from exo_supervisor.core.choice import Choice
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.requests.attempt_log import told_words
from exo_supervisor.core.requests.forecast import forecast
from exo_supervisor.views.explain import not_ready, reason_of
from exo_supervisor.views.recorder import BreakerMoved, Kept, Move, Recorder, Trip
from exo_supervisor.views.request_done import AttemptDone, RequestLine

Row = Mapping[str, object]
May = Callable[[RequestLine], bool]
"""Whether the client that asks may see all of a request."""


class EndedSeen(Struct):
    """All of a request that ended that anybody may see: what is seen of one under way."""

    id: str
    model: str | None
    target: str | None
    attempts: int
    since: str
    state: str = "ended"
    why: None = None
    prefill: None = None
    full: bool = False


def stamp(seconds: float, precision: str = "milliseconds") -> str:
    """Write seconds since 1970 as RFC 3339, UTC."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec=precision)
    return text.replace("+00:00", "Z")


def ended(recorder: Recorder, last: int, may: May) -> list[Row]:
    """List the last requests that ended, the newest first."""
    newest = list(recorder.kept.values())[: -last - 1 : -1]
    return [row_of(kept, full=may(kept.line)) for kept in newest]


def how_far_back(recorder: Recorder) -> Row:
    """Tell what is kept: of how many requests, and since when."""
    oldest = next(iter(recorder.kept.values()), None)
    since = None if oldest is None else stamp(oldest.since)
    return {"requests": len(recorder.kept), "bytes": recorder.size, "since": since}


def row_of(kept: Kept, *, full: bool) -> Row:
    """Tell a request's story, or the little of it that is for everybody."""
    line = kept.line
    seen = EndedSeen(
        line.request_id, line.model, line.target, line.attempts, stamp(kept.since), full=full
    )
    if not full:
        return asdict(seen)
    refused = kept.done.choice
    return {
        **line.facts(),
        **asdict(seen),
        "at": stamp(kept.at),
        "tried": [_tried(each) for each in kept.done.tried],
        "passed": [] if refused is None else passed(refused),
        "waited": None if refused is None else refused.waited,
        "breakers": [_breaker(each) for each in kept.breakers],
    }


def _tried(attempt: AttemptDone) -> Row:
    row: dict[str, object] = {**asdict(attempt), **_chosen(attempt.choice)}
    del row["choice"]
    row["message"] = told_words(attempt.message) or None
    return row


def _chosen(choice: Choice) -> Row:
    """Tell of a choice, and of each that it compared its expected wait."""
    compared = [{"target": target, "wait": wait} for target, wait in choice.compared]
    return asdict(choice) | {"compared": compared, "passed": passed(choice)}


def passed(choice: Choice) -> list[Row]:
    """List whom a request passed over, and say why in words."""
    return [
        asdict(each) | {"detail": _WORDS.get(each.reason, str)(each.detail) if each.detail else ""}
        for each in choice.passed
    ]


_WORDS: dict[str, Callable[[str], str]] = {"exo_down": reason_of, "model_not_ready": not_ready}


def choice_now(machine: Machine, name: str, now: float) -> Row | None:
    """Say who would be asked for a model now, and why nobody else; None: it stands nowhere."""
    route = machine.catalog.lookup(name)
    if isinstance(route, str):
        return None
    seen = forecast(route, machine.tables, now)
    told = seen.refusal
    return {
        "target": seen.candidate and seen.candidate.target,
        "model": seen.candidate and seen.candidate.model,
        "side": seen.side,
        **_chosen(seen.choice),
        "refusal": told and {"status": told.status, "code": told.code, "message": told.message},
    }


def _breaker(moved: BreakerMoved) -> Row:
    return asdict(moved) | {"at": stamp(moved.at)}


def shifts(recorder: Recorder, now: float, currency: str) -> Row:
    """List the moves of traffic and the breakers that opened, the newest first."""
    return {
        "currency": currency,
        "shifts": [_shift(move, now) for move in reversed(recorder.moves)],
        "trips": [_trip(trip, now) for trip in reversed(recorder.trips)],
    }


def _shift(move: Move, now: float) -> Row:
    return {
        "evidence": [],
        **move.facts,
        "since": stamp(move.at),
        "until": None if move.until is None else stamp(move.until),
        "duration": round((move.until or now) - move.at, 3),
        "requests": move.requests,
        "cost_microdollars": -(-move.cost // 1_000_000),
    }


def _trip(trip: Trip, now: float) -> Row:
    return {
        "evidence": [],
        **trip.facts,
        "at": stamp(trip.at),
        "closed": None if trip.closed is None else stamp(trip.closed),
        "duration": round((trip.closed or now) - trip.at, 3),
    }
