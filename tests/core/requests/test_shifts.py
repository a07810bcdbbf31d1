"""A move of traffic is told once, with its reason, and so is its return."""

from math import inf

import pytest

from exo_supervisor.core.effects import Announce
from exo_supervisor.core.events import RequestArrived
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import ModelId, ProviderName, RequestId, Side
from exo_supervisor.core.policy import Policy
from exo_supervisor.core.requests.candidate import make_candidate
from exo_supervisor.core.requests.candidates import Seen
from exo_supervisor.core.requests.catalog import Route
from exo_supervisor.core.requests.request import RequestState
from exo_supervisor.core.requests.shifts import LASTING, REMEMBERED, Shifts

P = ProviderName("p")
TABLES = Machine(Policy(), 0.0).tables


def answer(
    moves: Shifts,
    side: Side,
    now: float,
    *,
    name: str = "m",
    home: Side = "exo",
    shift: str | None = "exo_down",
) -> Announce | None:
    """Let a request for a name be answered by a side; what is told of it."""
    event = RequestArrived(request=RequestId("r"), model=name, deadline=inf, draw=0.0)
    seen = Seen(event, frozenset(), local_only=False)
    state = RequestState(event, Route(name, (), home, local_only=False), (), now, seen, shift=shift)
    candidate = make_candidate(P, P, ModelId(name))
    attempt = state.begin(candidate, side, candidate.unguarded, now)
    return next(iter(moves.served(state, attempt, TABLES, now)), None)


@pytest.mark.parametrize(
    ("home", "sides", "told"),
    [
        pytest.param("exo", ["exo", "exo"], [], id="home is no news"),
        pytest.param("exo", ["cloud", "cloud"], ["exo_down"], id="once per move"),
        pytest.param("exo", ["cloud", "exo", "exo"], ["exo_down", "recovered"], id="and back"),
        pytest.param("cloud", ["cloud", "exo", "cloud"], ["exo_down", "recovered"], id="mirrored"),
    ],
)
def test_moves(home: Side, sides: list[Side], told: list[str]) -> None:
    moves = Shifts()
    heard = [answer(moves, side, float(at), home=home) for at, side in enumerate(sides)]
    assert [announced.facts["reason"] for announced in heard if announced is not None] == told


def test_the_facts() -> None:
    moves = Shifts()
    away = answer(moves, "cloud", 0.0, shift=None)
    back = answer(moves, "exo", 0.5)
    assert away is not None
    assert back is not None
    assert (away.level, away.name, back.level) == ("warning", "traffic_shifted", "info")
    assert away.facts == {
        "model": "m", "from": "exo", "to": "cloud", "reason": "attempt_failed", "target": "p",
        "request_id": "r", "evidence": [],
    }  # fmt: skip


def test_memory_has_a_bound() -> None:
    moves = Shifts()
    for n in range(REMEMBERED):
        answer(moves, "cloud", 0.0, name=f"m{n}")
    assert answer(moves, "cloud", 0.0, name="m0") is None
    assert answer(moves, "cloud", 0.0, name="new") is not None
    assert answer(moves, "cloud", 0.0, name="m0") is not None


def test_sides_that_answer_in_turn_are_one_move() -> None:
    """A target that has recovered gets its traffic back step by step."""
    moves = Shifts()
    assert answer(moves, "cloud", 0.0) is not None
    assert answer(moves, "exo", 30.0) is not None
    for half in range(58):
        side: Side = "cloud" if half % 2 else "exo"
        assert answer(moves, side, 30.5 + half / 2) is None
    assert answer(moves, "cloud", 60.0) is not None, "a minute after it was told last"
    assert answer(moves, "exo", 60.5) is None


def test_a_move_that_comes_back_soon_is_told_once_it_has_lasted() -> None:
    moves = Shifts()
    assert answer(moves, "cloud", 0.0) is not None
    assert answer(moves, "exo", 5.0) is not None
    assert answer(moves, "cloud", 6.0) is None
    assert answer(moves, "exo", 15.0) is None, "so it did not last"
    assert answer(moves, "cloud", 15.5) is None
    assert answer(moves, "cloud", 25.0) is None
    told = answer(moves, "cloud", 15.5 + LASTING)
    assert told is not None
    assert (told.facts["from"], told.facts["to"]) == ("exo", "cloud")
    assert answer(moves, "cloud", 26.0) is None
