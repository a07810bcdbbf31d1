"""Exo works on so many requests at once; the others wait here, where their place is known."""

from exo_supervisor.core.breakers.table import RAMP_STEP
from exo_supervisor.core.events import PlacementRead, ProbeAnswered
from exo_supervisor.core.fleet.placed import Instance, Placed
from exo_supervisor.core.load.concurrency import BATCH, Concurrency, key_of, seats_of
from exo_supervisor.core.names import Address, InstanceId, ModelId, NodeId, ProviderName
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.exo.traits import PEERS
from tests.core.story import BOTH, LOCAL, Story, told

A1, M, N = Address("a:1"), ModelId("m"), ModelId("n")


def test_a_bench_is_a_model_on_a_cluster_but_a_whole_cluster_of_generation_a() -> None:
    key = Story(LOCAL, "a:1").machine.tables.scope_of("a:1")
    assert key_of(PEERS["A"], key, M) == key_of(PEERS["A"], key, N) == (key, None)
    assert key_of(PEERS["B"], key, M) != key_of(PEERS["B"], key, N)
    assert key_of(PEERS["C"], key, M) == (key, M)


def test_seats_by_generation() -> None:
    assert seats_of(PEERS["A"], state_paths=False, instances=3) == 1
    assert seats_of(PEERS["B"], state_paths=False, instances=1) == 1
    assert seats_of(PEERS["B"], state_paths=False, instances=2) == 2
    assert seats_of(PEERS["B"], state_paths=True, instances=1) == BATCH
    assert seats_of(PEERS["C"], state_paths=False, instances=0) == BATCH
    assert seats_of(PEERS["C"], state_paths=True, instances=2) == 2 * BATCH


def test_a_seat_that_was_given_back_is_free() -> None:
    load, key = (
        Concurrency(),
        key_of(PEERS["C"], Story(LOCAL, "a:1").machine.tables.scope_of("a:1"), M),
    )
    load.acquire(A1, key)
    load.acquire(A1, key)
    assert not load.free(key, 2)
    load.release(A1, key)
    assert load.free(key, 2)
    assert load.at == {A1: 1}
    load.release(A1, key)
    assert (load.taken, load.at) == ({}, {})


def test_a_provider_has_no_seats_but_is_counted() -> None:
    load, p = Concurrency(), ProviderName("p")
    load.acquire(p, None)
    assert (load.taken, load.at) == ({}, {p: 1})
    load.release(p, None)
    assert load.at == {}


def fill(story: Story, many: int = BATCH) -> None:
    """Let as many requests begin as there are seats."""
    for number in range(many):
        assert told(story.ask(f"r{number}")) == ["start a:1 m"]


def test_one_more_than_exo_batches_waits_for_a_seat() -> None:
    story = Story(LOCAL, "a:1")
    fill(story)
    assert story.ask("s") == story.ask("t") == []
    assert told(story.succeed("r3")) == ["start a:1 m"]
    assert (story.waits("s"), story.waits("t")) == (False, True)
    assert told(story.leave("r0")) == ["start a:1 m"]


def test_one_more_goes_to_the_cloud_when_patience_ends() -> None:
    story = Story(BOTH, "a:1")
    fill(story)
    assert story.ask("s") == []
    assert "start p x /busy" in told(story.wait(5.0))


def test_two_instances_have_twice_the_seats() -> None:
    story = Story(LOCAL, "a:1")
    two = tuple(Instance(InstanceId(name), ready=True) for name in ("i", "k"))
    placed = Placed(M, ready=True, instances=two)
    story.tell(PlacementRead(node=A1, listed=(NodeId("a:1#0"),), models=(placed,)))
    fill(story, 2 * BATCH)
    assert story.ask("s") == []


def test_before_the_state_has_paths_exo_takes_one_at_a_time() -> None:
    story = Story(LOCAL, "a:1", generation="B")
    name = NodeId("a:1#0")
    story.tell(
        ProbeAnswered(node=A1, generation="B", node_id=name, latency=0.01, state_paths=False)
    )
    fill(story, 1)
    assert story.ask("s") == []


def test_who_waits_for_another_model_is_not_woken() -> None:
    story = Story(LOCAL, "a:1")
    story.read("a:1", "m", "n")
    fill(story)
    for number in range(BATCH):
        assert told(story.ask(f"n{number}", "n")) == ["start a:1 n"]
    assert story.ask("s", "n") == story.ask("t") == []
    assert told(story.succeed("r0")) == ["start a:1 m"]
    assert (story.waits("s"), story.waits("t")) == (True, False)


def test_a_probe_that_tells_nothing_new_wakes_nobody() -> None:
    story = Story(LOCAL, "a:1")
    fill(story)
    story.ask("s")
    until = story.machine.dispatch.requests[
        next(iter(story.machine.dispatch.waiting))
    ].waiting_until
    story.now += 1.0
    version = story.machine.tables.registry.models.version
    story.up("a:1")
    story.read("a:1", "m")
    assert story.machine.tables.registry.models.version == version
    story.read("a:1", "m", "n")
    assert story.machine.tables.registry.models.version == version + 1
    state = story.machine.dispatch.requests[next(iter(story.machine.dispatch.waiting))]
    assert state.waiting_until == until


def recover(story: Story) -> None:
    """Trip a node's breaker, and let its probe succeed."""
    for request in ("t0", "t1", "t2"):
        story.ask(request, route="exo")
        story.fail(request, Fault.CONNECT)
    story.wait(10.0)
    story.ask("probe")
    story.succeed("probe")
    assert story.state("a:1") == "closed"


def test_one_that_has_recovered_gets_its_traffic_back_step_by_step() -> None:
    story = Story(BOTH, "a:1")
    recover(story)
    for step, at_once in enumerate((1, 2, 4)):
        names = [f"{step}.{number}" for number in range(at_once)]
        for name in names:
            assert told(story.ask(name)) == ["start a:1 m"]
        assert told(story.ask("spills")) == ["start p x /busy"]
        story.succeed("spills")
        for name in names:
            story.succeed(name)
        story.wait(RAMP_STEP)
    fill(story)


def test_where_nothing_else_may_serve_a_recovering_one_is_waited_for() -> None:
    story = Story(LOCAL, "a:1")
    recover(story)
    story.ask("r")
    assert story.ask("s") == story.ask("t") == []
    assert "start a:1 m" in told(story.wait(RAMP_STEP))
    assert (story.waits("s"), story.waits("t")) == (False, True)
    assert told(story.succeed("r")) == ["start a:1 m"]


def test_a_model_that_has_recovered_starts_as_slowly() -> None:
    story = Story(BOTH, "a:1")
    for request in ("t0", "t1", "t2"):
        story.ask(request, route="exo")
        story.begin(request)
        story.fail(request, Fault.STALL, committed=True)
    assert story.state("a:1", "m") == "open"
    story.wait(10.0)
    story.ask("probe")
    story.succeed("probe")
    assert told(story.ask("r")) == ["start a:1 m"]
    assert told(story.ask("s")) == ["start p x /busy"]


def test_an_operator_who_closes_a_breaker_means_at_once() -> None:
    story = Story(BOTH, "a:1")
    recover(story)
    story.force("a:1", "closed")
    fill(story)
