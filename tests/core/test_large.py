"""Many nodes in many clusters: what a request costs, and what is kept, stays the same.

The suite has 200 in ten clusters, and what runs alone a thousand in fifty.
"""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

import pytest

from exo_supervisor.core.events import PlacementRead, ProbeFailed
from exo_supervisor.core.fleet.nodes import MISSES
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.names import ModelId, NodeId
from tests.core.large import address, house, probe, read
from tests.core.story import Story, told

EACH = 20


@contextmanager
def counted() -> Generator[Callable[[], int]]:
    """Count the functions that are called: the same on every machine, however busy."""
    calls = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        yield lambda: calls
    finally:
        sys.setprofile(None)


def cost(story: Story, times: int = 20) -> float:
    """Count the calls that one request takes, from its arrival to its end."""
    with counted() as calls:
        for number in range(times):
            draw = number / times
            assert len(story.ask(f"r{number}", draw=draw)) == 1
            story.succeed(f"r{number}")
        return calls() / times


@pytest.fixture(scope="module", params=[10, pytest.param(50, marks=pytest.mark.alone)])
def clusters(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def large(clusters: int) -> Story:
    return house(clusters, EACH)


def test_a_request_costs_the_same_among_many_nodes(large: Story, clusters: int) -> None:
    small = house(1, 10)
    assert len(large.machine.tables.registry.nodes) == clusters * EACH
    first = cost(large, 1), cost(small, 1)  # makes a candidate at each node that it looks at
    assert first[0] <= 1.3 * first[1], "at most eight of them, however many nodes there are"
    for story in (large, small):
        cost(story)
    assert cost(large) <= 1.3 * cost(small)


def test_a_reading_costs_the_same_among_many_clusters() -> None:
    costs: list[int] = []
    for clusters in (2, 60):
        story = house(clusters, 1)
        story.now += 1.0
        with counted() as calls:
            read(story, 0, 1)
            costs.append(calls())
    assert costs[1] == costs[0]


def test_a_probe_costs_the_same_too_though_many_wait(large: Story, clusters: int) -> None:
    small = house(1, 10)
    for story, many, each in ((large, clusters, EACH), (small, 1, 10)):
        for number in range(8 * many + each):
            story.ask(f"w{number}", route="exo")
    with counted() as calls:
        probe(small, 0, 0)
        few = calls()
        probe(large, 0, 0)
        many = calls() - few
    assert many <= 1.3 * few
    for story in (large, small):
        for request in list(story.machine.dispatch.requests):
            story.leave(request)
        assert story.idle()


def test_half_the_house_falls_and_returns_and_the_rest_serves(clusters: int) -> None:
    story = house(clusters, EACH)
    registry = story.machine.tables.registry
    story.now += 5.0
    for cluster in range(clusters // 2):
        for member in range(EACH):
            for _ in range(MISSES):
                story.tell(ProbeFailed(node=address(cluster, member), why="refused"))
    assert len(registry.where_ready(next(registry.ready_models()))) == clusters * EACH // 2
    for number in range(200):
        (start,) = told(story.ask(f"r{number}", draw=number / 200))
        assert int(start.split(".")[1]) >= clusters // 2, "somebody who is down was asked"
        story.succeed(f"r{number}")
    story.now += 20.0
    for cluster in range(clusters // 2):
        for member in range(EACH):
            probe(story, cluster, member)
            probe(story, cluster, member)
        read(story, cluster, EACH)
    assert len(registry.where_ready(next(registry.ready_models()))) == clusters * EACH
    assert len(registry.clusters) == clusters
    assert story.idle()


def test_all_of_it_falls_and_traffic_shifts_to_the_cloud_and_back(clusters: int) -> None:
    story = house(clusters, EACH)
    story.now += 10.0
    for cluster in range(clusters):
        read(story, cluster, EACH, ready=False)
    assert told(story.ask("r")) == ["start p x /model_not_ready"]
    story.succeed("r")
    story.now += 10.0
    for cluster in range(clusters):
        read(story, cluster, EACH)
    (start,) = told(story.ask("s"))
    assert start.startswith("start 10.")
    story.succeed("s")
    assert story.names().count("traffic_shifted") == 2


def test_every_cluster_is_read_on_its_beat_and_the_alarms_stay_few(clusters: int) -> None:
    story = house(clusters, EACH)
    interval = story.machine.tables.policy.ready_interval
    read_now = {word for word in told(story.wait(interval)) if word.startswith("ReadPlacement")}
    assert len(read_now) == clusters
    assert len(vars(story.machine)["_alarms"]) <= clusters + 4


def change(models: int, members: int) -> int:
    """Count the calls that it takes to read that one of many models is ready no more."""
    story = house(1, members)
    names = [ModelId(f"m{number}") for number in range(models)]
    listed = tuple(NodeId(f"{address(0, member)}#0") for member in range(members))

    def tell(index: int, lost: ModelId | None) -> None:
        placed = tuple(Placed(name, ready=name != lost) for name in names)
        at = address(0, 0)
        story.tell(PlacementRead(node=at, listed=listed, models=placed, index=index))

    tell(5000, None)
    with counted() as calls:
        tell(5001, names[7])
        return calls()


def test_a_change_of_one_model_costs_no_look_at_every_member_for_every_model() -> None:
    assert change(64, 40) - change(64, 20) < 64 * 20 / 2
