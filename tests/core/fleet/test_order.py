"""The registry calls its family in the order that its docstring gives, whatever happens."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from inspect import getmembers, isfunction
from types import CodeType, FrameType

from exo_supervisor.core.events import NodeSighted, ProbeFailed
from exo_supervisor.core.fleet.model_index import ModelIndex
from exo_supervisor.core.fleet.nodes import note_miss
from exo_supervisor.core.fleet.registry import Registry
from exo_supervisor.core.fleet.topology import Topology
from exo_supervisor.core.names import Address
from tests.core.hours import churn, visit
from tests.core.simulation import House

STEPS: dict[Callable[..., object], int] = {
    Topology.release: 1, Topology.claim: 1, ModelIndex.drop_id: 1,
    Topology.note_list: 2, Topology.drop_list: 2, Topology.leave: 2, Topology.group: 2,
    Topology.forget: 2,  # its id goes with it
    ModelIndex.regrouped: 3, ModelIndex.stand: 3, ModelIndex.moved: 3, ModelIndex.follow_id: 3,
    ModelIndex.ignore_id: 3, ModelIndex.climb: 4,
}  # fmt: skip
"""As the registry's docstring has them."""
QUESTIONS: set[Callable[..., object]] = {
    Topology.address_of, Topology.awaited_by, Topology.listed_elsewhere, Topology.is_impostor,
    ModelIndex.ready, ModelIndex.where_ready, ModelIndex.changes, ModelIndex.where,
    ModelIndex.is_placed, ModelIndex.placed,
}  # fmt: skip


class Watch:
    """Notes, event by event, which steps a registry takes; a grouping is an event of its own."""

    def __init__(self, registry: type[Registry]) -> None:
        own = dict(getmembers(registry, isfunction))
        self._steps = {each.__code__: step for each, step in STEPS.items() if isfunction(each)}
        self._registry: set[CodeType] = {each.__code__ for each in own.values()}
        self._grouping = own["_group"].__code__
        self._events: list[tuple[FrameType, list[str]]] = []
        self.steps = 0
        self.wrong: set[str] = set()

    def __call__(self, frame: FrameType, kind: str, _given: object) -> None:
        if kind == "return" and self._events and self._events[-1][0] is frame:
            self._events.pop()
        if kind != "call":
            return
        within = frame.f_back is not None and frame.f_back.f_code in self._registry
        if frame.f_code in self._steps and within:
            self._take(f"{self._steps[frame.f_code]} {frame.f_code.co_name}")
        if frame.f_code in self._registry and (not within or frame.f_code is self._grouping):
            self._events.append((frame, []))

    def _take(self, step: str) -> None:
        taken = self._events[-1][1]
        self.steps += 1
        if taken and step[0] < taken[-1][0]:
            self.wrong.add(" > ".join([*taken, step]))
        taken.append(step)


@contextmanager
def watching(registry: type[Registry] = Registry) -> Generator[Watch]:
    watch, before = Watch(registry), sys.getprofile()
    sys.setprofile(watch)
    try:
        yield watch
    finally:
        sys.setprofile(before)


def test_every_call_to_the_family_is_a_step_or_a_question() -> None:
    public = {
        each
        for owner in (Topology, ModelIndex)
        for name, each in getmembers(owner, isfunction)
        if not name.startswith("_")
    }
    assert public == STEPS.keys() | QUESTIONS


def test_no_step_is_taken_after_a_later_one() -> None:
    with watching() as watch:
        house = House(3, lambda _house, _effects: None)
        visit(house, until=300.0)
        churn(house, until=300.0)
        house.live(300.0)
    assert watch.wrong == set()
    assert watch.steps > 1000, "it saw nothing"


class Hasty(Registry):
    """Reads the rungs off before it lets the id go."""

    def missed(self, event: ProbeFailed, now: float) -> bool:
        node = self.nodes[event.node]
        fell = note_miss(node, event, now)
        self.models.climb(node, now)
        self.topology.release(node)
        return fell


def test_a_wrong_order_is_caught() -> None:
    hasty = Hasty()
    hasty.sight(NodeSighted(node=Address("a:1"), url="http://a:1", source="test"), 0.0)
    with watching(Hasty) as watch:
        hasty.missed(ProbeFailed(node=Address("a:1"), why="refused"), 1.0)
    assert watch.wrong == {"4 climb > 1 release"}
