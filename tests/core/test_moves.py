"""A move of traffic is told once, with its reason, and so is its return."""

import pytest

from exo_supervisor.core.moves import REMEMBERED, Moves
from exo_supervisor.core.names import Address, ProviderName, Side

EXO, CLOUD = Address("a:1"), ProviderName("p")


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
    moves = Moves()
    heard = [moves.answered("m", side, home=home, shift="exo_down", target=EXO) for side in sides]
    assert [announced.facts["reason"] for announced in heard if announced is not None] == told


def test_the_facts() -> None:
    moves = Moves()
    away = moves.answered("m", "cloud", home="exo", shift=None, target=CLOUD)
    back = moves.answered("m", "exo", home="exo", shift=None, target=EXO)
    assert away is not None
    assert back is not None
    assert (away.level, away.name, back.level) == ("warning", "traffic_shifted", "info")
    assert away.facts == {
        "model": "m", "from": "exo", "to": "cloud", "reason": "attempt_failed", "target": "p",
    }  # fmt: skip


def test_memory_has_a_bound() -> None:
    moves = Moves()
    for n in range(REMEMBERED):
        moves.answered(f"m{n}", "cloud", home="exo", shift="busy", target=CLOUD)
    assert moves.answered("m0", "cloud", home="exo", shift="busy", target=CLOUD) is None
    assert moves.answered("new", "cloud", home="exo", shift="busy", target=CLOUD) is not None
    assert moves.answered("m0", "cloud", home="exo", shift="busy", target=CLOUD) is not None
