"""When every breaker of a model is open, one probe at a time may pass; the operator may forbid."""

from msgspec import structs

from exo_supervisor.core.breakers.automaton import Mark
from exo_supervisor.core.events import ProbeAnswered
from exo_supervisor.core.load.concurrency import BATCH
from exo_supervisor.core.names import Address, NodeId
from exo_supervisor.core.outcomes import Fault
from tests.core.story import BOTH, LOCAL, Story, refusal, told


def trip(story: Story, times: int = 3, draw: float = 0.0) -> None:
    """Let requests fail until a breaker opens."""
    for n in range(times):
        story.ask(f"t{n}", draw=draw)
        story.fail(f"t{n}", Fault.CONNECT)
        story.leave(f"t{n}")


def test_three_failures_in_a_row_open_a_breaker_and_the_cloud_takes_over() -> None:
    story = Story(BOTH, "a:1")
    trip(story)
    assert story.state("a:1") == "open"
    levels = {said.name: said.level for said in story.said}
    assert levels["breaker_opened"] == "warning"
    assert told(story.ask("r")) == ["start p x /breaker_open"]


def test_one_probe_at_a_time_and_the_others_hear_when_to_come_again() -> None:
    story = Story(LOCAL, "a:1")
    trip(story)
    assert told(story.ask("r")) == ["start a:1 m /panic"]
    answer = refusal(story.ask("s"))
    assert (answer.code, answer.retry_after) == ("no_target", 10.0)
    assert story.state("a:1") == "half_open"
    assert told(story.fail("r", Fault.CONNECT)) == ["refuse 502 attempts_failed"]
    assert story.state("a:1") == "open"
    assert told(story.ask("u")) == ["start a:1 m /panic"]
    story.begin("u")
    assert story.state("a:1") == "closed"
    assert story.ask("v") == []
    assert told(story.fail("u", Fault.NONE, committed=True)) == ["start a:1 m"]


def test_the_one_whose_rest_ends_first_is_probed() -> None:
    story = Story(LOCAL, "a:1", "b:1")
    trip(story, draw=0.9)
    story.wait(4.0)
    trip(story)
    assert (story.state("a:1"), story.state("b:1")) == ("open", "open")
    first, second = story.ask("r"), story.ask("s")
    assert told(first + second) == ["start b:1 m /panic", "start a:1 m /panic"]
    assert refusal(story.ask("t")).code == "no_target"


def test_a_later_end_of_a_rest_changes_nothing() -> None:
    story = Story(LOCAL, "a:1", "b:1")
    trip(story)
    story.wait(4.0)
    trip(story, draw=0.9)
    assert (story.state("a:1"), story.state("b:1")) == ("open", "open")
    assert told(story.ask("r")) == ["start a:1 m /panic"]


def test_a_cloud_that_is_left_alone_is_no_probe() -> None:
    story = Story(BOTH, "a:1")
    trip(story)
    assert told(story.ask("r")) == ["start p x /breaker_open"]
    assert told(story.fail("r", Fault.BAD_KEY)) == ["start q x /breaker_open"]
    story.fail("r", Fault.BAD_KEY)
    assert told(story.ask("s")) == ["start a:1 m /panic"]


def test_nobody_is_a_probe_where_no_seat_is_free() -> None:
    """An Exo came back as one that works on one request at a time; five are still at it."""
    story = Story(LOCAL, "a:1")
    for number in range(BATCH):
        story.ask(f"r{number}")
    for number in range(3):
        story.fail(f"r{number}", Fault.CONNECT)
    assert story.state("a:1") == "open"
    same = NodeId("a:1#0")
    story.tell(ProbeAnswered(node=Address("a:1"), generation="B", node_id=same, latency=0.1,
                             state_paths=False))  # fmt: skip
    assert refusal(story.ask("s")).code == "no_target"
    assert story.state("a:1") == "open"


def test_a_request_that_has_tried_somebody_does_not_panic() -> None:
    story = Story(BOTH, "a:1")
    trip(story)
    assert told(story.ask("r")) == ["start p x /breaker_open"]
    story.fail("r", Fault.CONNECT)
    assert told(story.fail("r", Fault.CONNECT)) == ["refuse 502 attempts_failed"]


def test_the_end_of_a_rest_is_when_to_come_again() -> None:
    story = Story(structs.replace(LOCAL, ready_interval=60.0), "a:1")
    trip(story)
    story.ask("r")
    story.leave("r")
    story.force("a:1", "open", "m")
    answer = refusal(story.ask("s"))
    assert answer.retry_after == 10.0


def test_a_probe_whose_client_leaves_gives_its_slot_back() -> None:
    story = Story(LOCAL, "a:1")
    trip(story)
    story.ask("r")
    story.leave("r")
    assert told(story.ask("s")) == ["start a:1 m /panic"]


def test_a_rested_breaker_is_probed_by_the_next_request() -> None:
    story = Story(BOTH, "a:1")
    trip(story)
    story.wait(10.0)
    assert told(story.ask("r") + story.ask("s")) == ["start a:1 m", "start p x /breaker_open"]
    story.succeed("r")
    assert told(story.ask("t")) == ["start a:1 m"]


def test_a_node_that_comes_back_may_be_probed_at_once() -> None:
    story = Story(BOTH, "a:1")
    trip(story)
    story.down("a:1")
    story.up("a:1")
    assert told(story.ask("q")) == ["start p x /exo_down"], "down, then two answers"
    story.up("a:1")
    assert told(story.ask("r")) == ["start a:1 m"]


def test_a_node_that_missed_one_check_and_is_back_may_be_probed_at_once() -> None:
    story = Story(BOTH, "a:1")
    trip(story)
    story.miss("a:1")
    story.up("a:1")
    assert told(story.ask("r")) == ["start a:1 m"]


def test_a_models_rest_is_never_cut_short_by_a_cheap_check() -> None:
    story = Story(BOTH, "a:1")
    for n in range(3):
        story.ask(f"t{n}")
        story.fail(f"t{n}", Fault.STALL)
        story.succeed(f"t{n}")
    assert (story.state("a:1"), story.state("a:1", "m")) == ("closed", "open")
    story.down("a:1")
    story.up("a:1")
    story.up("a:1")
    assert told(story.ask("r")) == ["start p x /breaker_open"]


def test_a_check_that_was_well_all_along_shortens_no_rest() -> None:
    """It says nothing new of a target whose answers fail."""
    story = Story(BOTH, "a:1")
    trip(story)
    story.up("a:1")
    assert told(story.ask("r")) == ["start p x /breaker_open"]


def test_the_operator_opens_closes_and_lets_go() -> None:
    story = Story(BOTH, "a:1")
    story.force("a:1", "open", "m")
    assert told(story.ask("r")) == ["start p x /breaker_open"]
    story.force("a:1", None, "m")
    assert told(story.ask("s")) == ["start a:1 m"]
    trip(story, 4)
    story.force("a:1", "closed")
    assert told(story.ask("u")) == ["start a:1 m"]
    story.force("a:1", None)
    assert told(story.ask("v")) == ["start p x /breaker_open"]
    assert [n for n in story.names() if n.startswith("breaker")] == [
        "breaker_opened", "breaker_closed", "breaker_opened", "breaker_closed", "breaker_opened",
    ]  # fmt: skip


def test_what_an_operator_opened_is_not_probed_in_panic() -> None:
    story = Story(LOCAL, "a:1")
    story.force("a:1", "open")
    assert told(story.ask("r")) == ["refuse 503 no_target"]


def test_a_scope_goes_by_its_cluster_a_provider_by_itself() -> None:
    story = Story(BOTH, "a:1")
    story.up("b:1")
    story.read("b:1", "m", mates="a:1")
    story.read("a:1", "m", mates="b:1")
    assert story.machine.tables.scope_of("b:1") == story.machine.tables.scope_of("a:1") == "a:1"
    assert story.machine.tables.scope_of("p") == "p"
    story.force("p", "open", "x")
    story.force("b:1", "open", "m")
    assert told(story.ask("r")) == ["start q x /breaker_open"]


def test_what_the_table_shows_can_be_given_back() -> None:
    """Also when the node that a cluster is named after has moved to another one."""
    story = Story(LOCAL, "a:1", "b:1", "c:1", "d:1")
    for node, mate in (("a:1", "c:1"), ("c:1", "a:1"), ("b:1", "d:1"), ("d:1", "b:1")):
        story.read(node, "m", mates=mate)
    story.force("c:1", "open", "m")
    for node, mates in (("b:1", "a:1 d:1"), ("d:1", "a:1 b:1"), ("a:1", "b:1 d:1")):
        story.read(node, "m", mates=mates)
    registry = story.machine.tables.registry
    homes = [registry.nodes[Address(node)].cluster for node in ("a:1", "c:1")]
    assert homes == ["b:1", "a:1"]
    assert story.state("a:1", "m") == "open"
    story.force("a:1", None, "m")
    assert story.state("a:1", "m") == "closed"


def test_what_was_decreed_of_a_node_without_a_cluster_can_be_given_back_when_it_has_one() -> None:
    """Seed 363 of the simulation at 900 seconds of trouble."""
    story = Story(LOCAL, "a:1")
    story.up("b:1")
    story.force("b:1", "closed", "x")
    story.read("a:1", "m", mates="b:1")
    story.read("b:1", "m", mates="a:1")
    assert story.machine.tables.registry.nodes[Address("b:1")].cluster == "a:1"
    story.force("b:1", None, "x")
    assert not [key for key, cell in story.machine.tables.breakers if cell.forced]


def test_panic_waits_its_turn_at_generation_a() -> None:
    story = Story(LOCAL, generation="A")
    for node in ("a:1", "b:1"):
        story.up(node, generation="A")
        story.read(node, "m", mates="a:1 b:1")
    story.ask("r")
    for node in ("a:1", "b:1"):
        story.machine.tables.breakers.force((Address(node), None), "open", story.now)
    trip_by_hand(story, "b:1")
    assert told(story.ask("s")) == ["refuse 503 no_target"]
    story.leave("r")
    assert told(story.ask("t")) == ["start b:1 m /panic"]


def trip_by_hand(story: Story, node: str) -> None:
    """Open a breaker as three failures would."""
    breakers, key = story.machine.tables.breakers, (Address(node), None)
    breakers.force(key, None, story.now)
    for _ in range(3):
        breakers.settle(key, 0, Mark.FAILURE, story.now, 0.0)
