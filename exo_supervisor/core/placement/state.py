"""How one model comes to stand on a cluster: one placement at a time, watched until it is ready.

Exo says yes to a placement that its master then rejects (exo#2047), and every yes may mean one
more instance. So nothing is sent twice on hope: after a yes, or an answer that was lost, the state
alone tells what came of it.
"""

from math import inf
from typing import Literal

from msgspec import Struct

from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.names import ClusterKey
from exo_supervisor.core.policy import WAITS

ANSWERS = 90.0
"""Seconds after which a placement that nobody answered for counts as sent, its answer as lost.

For as long, a removal is not sent again."""
LOADS = 1800.0
"""Seconds for which an instance may load without any progress that we can see."""
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 600.0
"""Seconds before a placement that failed is tried again: doubled each time, up to a cap."""
GIVES_UP = 6
"""Failures in a row, about a quarter of an hour, after which only a person or a change helps."""

Told = Literal["accepted", "stands", "lost", "failed"]
How = tuple[str, str | None]
"""How far an instance is: its worst runner's word, and the layers where it tells them."""


class Resting(Struct, frozen=True, tag="resting"):
    """Nothing is under way; after `failures`, nothing is begun before `until`."""

    failures: int = 0
    until: float = -inf
    why: str = ""


class Asked(Struct, frozen=True, tag="asked"):
    """A node was asked to place it and has not answered yet."""

    failures: int
    cluster: ClusterKey
    since: float


class Awaited(Struct, frozen=True, tag="awaited"):
    """A yes, or a lost answer: the state tells whether an instance came of it."""

    failures: int
    cluster: ClusterKey
    since: float


class Loading(Struct, frozen=True, tag="loading"):
    """Its instance stands and is not ready; `moved` is when it last got any further."""

    failures: int
    cluster: ClusterKey
    since: float
    moved: float
    how: How


class GivenUp(Struct, frozen=True, tag="given_up"):
    """It failed too often, or stands still as far as `how`."""

    failures: int
    why: str
    how: How | None = None


Placing = Resting | Asked | Awaited | Loading | GivenUp


def ask(p: Resting, cluster: ClusterKey, now: float) -> Asked:
    """Begin a placement."""
    return Asked(p.failures, cluster, now)


def answered(p: Placing, told: Told, why: str, now: float) -> Placing:
    """Take in what came of asking; a late answer changes nothing."""
    if not isinstance(p, Asked):
        return p
    return fail(p, why, now) if told == "failed" else Awaited(p.failures, p.cluster, now)


def passed(p: Placing, now: float) -> Placing:
    """Let time pass: an answer that never came counts as lost."""
    if isinstance(p, Asked) and now >= p.since + ANSWERS:
        return Awaited(p.failures, p.cluster, now)
    return p


def stands(p: Placing, placed: Placed, cluster: ClusterKey, now: float) -> Placing:
    """Take in that the model stands on a cluster, whoever placed it there."""
    if placed.ready:
        return Resting()
    how = (placed.why, placed.progress)
    match p:
        case GivenUp(how=before) if before == how:
            return p
        case _ if placed.why == "download_failed":  # Exo never tries that again
            return GivenUp(p.failures + 1, f"its download failed: {placed.detail}", how)
        case Loading(how=before) if before != how:
            return Loading(p.failures, cluster, p.since, now, how)
        case Loading(moved=moved) if now >= moved + LOADS:
            return GivenUp(p.failures + 1, f"it loads without progress ({placed.why})", how)
        case Loading():
            return p
        case GivenUp():  # somebody else has got it going
            return Loading(0, cluster, now, now, how)
        case _:
            return Loading(p.failures, cluster, now, now, how)


def lacks(p: Placing, read_at: float, now: float, appears: float = WAITS.appears) -> Placing:
    """Take in that it stands nowhere, according to a state that was read at an instant."""
    match p:
        case Awaited(since=since) if read_at >= since + appears:
            return fail(p, "it was accepted and never appeared", now)
        case Loading():
            return fail(p, "its instance vanished while it loaded", now)
        case GivenUp(how=how) if how is not None:  # it stood still, and is gone
            return Resting(p.failures, now + FIRST_PAUSE, p.why)
        case _:
            return p


def fail(p: Placing, why: str, now: float) -> Placing:
    """Count a failure: rest longer each time, and give up in the end."""
    failures = p.failures + 1
    if failures >= GIVES_UP:
        return GivenUp(failures, why)
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (failures - 1))
    return Resting(failures, now + pause, why)


def due(p: Placing, appears: float = WAITS.appears) -> float | None:
    """Tell when time alone may move it on."""
    match p:
        case Resting(until=until):
            return until if until > -inf else None
        case Asked(since=since):
            return since + ANSWERS
        case Awaited(since=since):
            return since + appears
        case Loading(moved=moved):
            return moved + LOADS
        case GivenUp():
            return None
