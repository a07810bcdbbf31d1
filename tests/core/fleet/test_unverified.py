"""A flood of sightings has a bound of its own, and a real node gets in all the same."""

from exo_supervisor.core.effects import Announce, Effect, UnwatchNode, WatchNode
from exo_supervisor.core.events import NodeSighted, ProbeAnswered, ProbeFailed
from exo_supervisor.core.fleet.registry import MAX_NODES
from exo_supervisor.core.fleet.unverified import HOLD, MAX_REFUSED, MAX_UNVERIFIED, Unverified
from exo_supervisor.core.fleet_events import QUIET
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, NodeId
from exo_supervisor.core.policy import Policy

REAL = Address("real:1")


class Flooded:
    """A machine that hears of more nodes than there are."""

    def __init__(self) -> None:
        self.machine = Machine(Policy(), 0.0)
        self.registry = self.machine.tables.registry

    def sight(self, node: str, now: float, *, seeded: bool = False) -> list[Effect]:
        url = f"http://{node}"
        seen = NodeSighted(node=Address(node), url=url, source="flood", seeded=seeded)
        return self.machine.handle(seen, now)

    def fill(self, now: float = 0.0) -> None:
        for n in range(MAX_UNVERIFIED):
            assert watched(self.sight(f"n{n}:1", now)) == [f"n{n}:1"]

    def miss(self, node: str, now: float) -> list[Effect]:
        return self.machine.handle(ProbeFailed(node=Address(node), why="timeout"), now)

    def answer(self, node: str, now: float) -> None:
        event = ProbeAnswered(node=Address(node), generation="C", node_id=NodeId(node), latency=0.1)
        self.machine.handle(event, now)


def watched(effects: list[Effect]) -> list[str]:
    return [effect.node for effect in effects if isinstance(effect, WatchNode)]


def unwatched(effects: list[Effect]) -> list[str]:
    return [effect.node for effect in effects if isinstance(effect, UnwatchNode)]


def test_beyond_the_bound_nobody_gets_in_who_is_only_somebodys_word() -> None:
    house = Flooded()
    house.fill()
    assert house.sight(REAL, 1.0) == []
    assert len(house.registry.nodes) == MAX_UNVERIFIED
    assert watched(house.sight("seed:1", 1.0, seeded=True)) == ["seed:1"]


def test_who_had_its_time_and_was_looked_at_makes_room_the_oldest_first() -> None:
    house = Flooded()
    house.fill()
    house.miss("n1:1", 3.0)
    house.miss("n0:1", 4.0)
    assert house.sight("early:1", HOLD - 0.1) == []
    effects = house.sight(REAL, HOLD)
    assert (unwatched(effects), watched(effects)) == (["n0:1"], [REAL])
    assert unwatched(house.sight("more:1", HOLD)) == ["n1:1"]
    assert house.sight("even-more:1", HOLD) == []
    assert len(house.registry.nodes) == MAX_UNVERIFIED


def test_who_was_refused_and_is_sighted_again_takes_the_place_of_who_was_looked_at() -> None:
    house = Flooded()
    house.fill()
    assert house.sight(REAL, 1.0) == []
    assert house.sight(REAL, 1.5) == [], "nobody was looked at yet"
    house.miss("n0:1", 2.0)
    assert house.sight("other:1", 2.0) == [], "that was the first word of it"
    assert watched(house.sight(REAL, 2.0)) == [REAL]
    house.miss("n1:1", 2.0)
    assert watched(house.sight("other:1", 2.0)) == ["other:1"]


def test_so_many_refusals_are_remembered() -> None:
    house = Flooded()
    house.fill()
    house.sight(REAL, 1.0)
    for n in range(MAX_REFUSED):
        house.sight(f"more{n}:1", 1.0)
    house.miss("n0:1", 2.0)
    assert house.sight(REAL, 2.0) == []
    assert watched(house.sight(f"more{MAX_REFUSED - 1}:1", 2.0)) == [f"more{MAX_REFUSED - 1}:1"]


def test_who_answered_once_or_was_named_is_not_driven_out() -> None:
    house = Flooded()
    house.fill()
    house.answer("n0:1", 1.0)
    house.sight("n1:1", 1.0, seeded=True)
    for n in range(MAX_UNVERIFIED):
        house.miss(f"n{n}:1", 2.0)
    assert watched(house.sight(REAL, 3.0)) == [REAL], "two have left the table"
    assert watched(house.sight("other:1", 3.0)) == ["other:1"]
    for n in range(MAX_UNVERIFIED):
        house.sight(f"more{n}:1", HOLD + 3.0)
        house.miss(f"more{n}:1", HOLD + 3.0)
    kept = [str(node) for node in house.registry.nodes]
    assert kept[:2] == ["n0:1", "n1:1"]
    assert "n2:1" not in kept


def test_new_nodes_come_at_a_bounded_rate_however_many_are_told_of() -> None:
    house = Flooded()
    taken: list[float] = []
    for n in range(16_000):
        now = n / 256  # twice as many as it takes
        for node in watched(house.sight(f"n{n}:1", now)):
            taken.append(now)
            house.miss(node, now)
    per_second = [sum(int(at) == second for at in taken) for second in range(62)]
    assert sum(per_second[:8]) <= MAX_UNVERIFIED
    assert max(sum(per_second[at : at + 8]) for at in range(8, 54)) <= MAX_UNVERIFIED
    assert len(house.registry.nodes) <= MAX_UNVERIFIED


def test_a_full_house_has_no_room_for_anybody() -> None:
    house = Flooded()
    for n in range(MAX_NODES):
        house.sight(f"seed{n}:1", 0.0, seeded=True)
    assert house.sight(REAL, 99.0) == []
    assert house.sight("seed-too-many:1", 99.0, seeded=True) == []


def test_of_a_crowd_that_is_silent_not_each_has_its_line() -> None:
    house = Flooded()
    levels: list[str] = []
    for n in range(2 * QUIET):
        house.sight(f"n{n}:1", 0.0)
        said = [each for each in house.miss(f"n{n}:1", 0.0) if isinstance(each, Announce)]
        levels += [each.level for each in said if each.name == "node_silent"]
    assert levels == ["info"] * QUIET + ["debug"] * QUIET


def test_an_empty_table_names_nobody() -> None:
    unverified = Unverified()
    unverified.drop(REAL)
    assert unverified.evict_for(REAL, lambda _: True, 9.0) is None


def test_who_was_refused_once_and_let_in_waits_its_time_when_it_comes_anew() -> None:
    unverified, new = Unverified(1), Address("new:1")
    unverified.add(Address("old:1"), 0.0)
    places = [unverified.evict_for(new, lambda _: True, 1.0) for _ in range(3)]
    assert places == [None, "old:1", None]
