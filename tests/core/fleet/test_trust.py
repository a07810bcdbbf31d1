"""Found is not trusted: what a stranger says never takes anything from whom a person named."""

import pytest
from msgspec import structs

from exo_supervisor.core.effects import KeepPins, PlaceModel, RemoveModel
from exo_supervisor.core.events import (
    AddressesRead,
    CapacityRead,
    LinkSeen,
    ModelOrdered,
    NodeSighted,
    NodeTrusted,
    PlacementRead,
    ProbeAnswered,
)
from exo_supervisor.core.fleet.capacity import Capacity
from exo_supervisor.core.fleet.trust import MAX_PINS, is_loopback
from exo_supervisor.core.names import Address, NodeId, TrustRule
from exo_supervisor.core.policy import ModelRule, Policy
from tests.core.story import BOTH, LOCAL, M, Story, refusal, stand, told

SEED, FAR = "10.0.0.5:52415", "10.0.0.66:52415"
MINE = NodeId(f"{SEED}#0")


class House(Story):
    """A story with one node that has the model, a seed unless it is only found."""

    def __init__(self, policy: Policy = LOCAL, *, seeded: bool = True) -> None:
        super().__init__(policy)
        self.up(SEED, seeded=seeded)
        self.read(SEED, "m")
        self.tick(5.0)
        self.names()

    def trust(self, node: str) -> str:
        return self.machine.tables.registry.nodes[Address(node)].trust

    def cluster(self, node: str) -> str | None:
        return self.machine.tables.registry.nodes[Address(node)].cluster

    def says(self, node: str, node_id: NodeId) -> None:
        """Let a node say that it goes by an id."""
        at = Address(node)
        self.tell(NodeSighted(node=at, url=f"http://{node}", source="broadcast"))
        self.tell(ProbeAnswered(node=at, generation="C", node_id=node_id, latency=0.001))

    def vouches(self, node: str, **addresses: str) -> None:
        """Let a node's state tell at which address each of the others is."""
        told = {NodeId(f"{value}#0"): (value,) for value in addresses.values()}
        self.tell(AddressesRead(node=Address(node), addresses=told))


def test_what_must_stay_goes_to_no_node_that_is_only_found() -> None:
    story = House(BOTH)
    story.up(FAR)
    story.read(FAR, "m")
    for n in range(40):
        assert told(story.ask(f"r{n}", draw=n / 40, local_only=True)) == [f"start {SEED} m"]
        story.leave(f"r{n}")
    assert (story.trust(SEED), story.trust(FAR)) == ("named", "found")
    story.down(SEED)
    refused = refusal(story.ask("s", local_only=True))
    assert refused.code == "local_only_unavailable"
    assert f"exo-supervisor nodes trust {FAR}" in refused.message
    story.read(FAR, loading="m")
    refused = refusal(story.ask("t", local_only=True))
    assert "could" not in refused.message, "nor could it, while it loads"


def test_the_first_prompt_to_a_found_node_is_told_with_its_source_and_no_later_one() -> None:
    story = House(BOTH)
    story.up(FAR)
    story.read(FAR, "m")
    story.down(SEED)
    story.names()
    assert told(story.ask("r")) == [f"start {FAR} m"]
    [used] = [each for each in story.said if each.name == "node_first_used"]
    assert (used.facts["node"], used.facts["source"]) == (FAR, ["test"])
    story.ask("s")
    assert story.names().count("node_first_used") == 1


@pytest.mark.parametrize(
    ("rule", "anything", "private"),
    [
        ("link", "start 10.0.0.66:52415 m", "start 10.0.0.66:52415 m"),
        ("private", "start 10.0.0.66:52415 m", "refuse 503 local_only_unavailable"),
        ("named", "refuse 503 no_target", "refuse 503 local_only_unavailable"),
    ],
)
def test_the_three_rules(rule: TrustRule, anything: str, private: str) -> None:
    story = Story(structs.replace(LOCAL, trust=rule), FAR)
    assert told(story.ask("r")) == [anything]
    assert told(story.ask("s", local_only=True)) == [private]
    assert story.machine.tables.can_serve(story.now) == (rule != "named")


def test_a_house_that_keeps_everything_sends_nothing_to_who_is_only_found() -> None:
    story = Story(structs.replace(LOCAL, local_only=True), FAR)
    assert told(story.ask("r")) == ["refuse 503 local_only_unavailable"]
    assert not story.machine.tables.can_serve(story.now)


def test_loopback_is_trusted_where_its_listener_is_looked_up() -> None:
    here = "127.0.0.1:52415"
    assert House(structs.replace(LOCAL, owned=True)).trust(SEED) == "named"
    for owned, ground in ((True, "loopback"), (False, "found")):
        story = Story(structs.replace(LOCAL, owned=owned), here)
        assert story.machine.tables.registry.nodes[Address(here)].trust == ground


@pytest.mark.parametrize(
    ("address", "ours"),
    [("127.0.0.1:1", True), ("[::1]:1", True), ("localhost:1", True), ("10.0.0.1:1", False),
     ("localhost.example:1", False)],
)  # fmt: skip
def test_which_addresses_are_this_machines_own(address: str, ours: bool) -> None:  # noqa: FBT001 - a table's column
    assert is_loopback(Address(address)) == ours


def test_an_id_that_a_stranger_took_goes_back_at_the_named_ones_first_answer() -> None:
    story = House()
    story.down(SEED)
    story.says(FAR, MINE)
    story.tell(PlacementRead(node=Address(FAR), listed=(MINE,), models=(stand("m", "i"),)))
    assert told(story.ask("r"))[0].startswith(f"start {FAR}")
    story.leave("r")
    story.says(SEED, MINE)
    assert story.machine.tables.registry.address_of(MINE) == SEED
    assert story.machine.tables.registry.nodes[Address(FAR)].alias_of == SEED
    story.says(SEED, MINE)
    for n in range(5):
        assert told(story.ask(f"s{n}")) == [f"start {SEED} m"]


def test_between_two_that_are_only_found_the_longer_known_wins_once_it_is_up() -> None:
    story = House(seeded=False)
    story.wait(1.0)
    story.down(SEED)
    story.says(FAR, MINE)
    ids = story.machine.tables.registry.address_of
    story.up(SEED)
    assert ids(MINE) == FAR, "one answer may be a flicker"
    story.up(SEED)
    assert ids(MINE) == SEED


def test_a_stranger_that_lists_a_named_node_shares_no_cluster_with_it() -> None:
    story = House(BOTH)
    story.up(FAR)
    for _ in range(3):
        story.read(FAR, mates=SEED, index=10**6)
    assert story.cluster(FAR) != story.cluster(SEED)
    assert told(story.ask("r")) == [f"start {SEED} m"]
    assert "model_lost" not in story.names()


def test_a_member_is_trusted_where_the_named_nodes_state_says_that_it_is() -> None:
    story = House()
    story.up(FAR)
    story.read(SEED, "m", mates=FAR)
    story.read(FAR, "m", mates=SEED)
    story.wait(0.1)
    story.read(SEED, "m", mates=FAR)
    story.read(FAR, "m", mates=SEED)
    assert (story.trust(FAR), story.cluster(FAR)) == ("found", FAR), "anybody can say an id"
    story.vouches(SEED, other=FAR)
    assert (story.trust(FAR), story.cluster(FAR)) == ("cluster", SEED)
    story.read(SEED, "m")
    assert (story.trust(FAR), story.cluster(FAR)) == ("found", FAR), "it was put out"


def test_a_stranger_that_goes_by_a_members_id_is_not_believed() -> None:
    """The member's own API may be out of our reach, so that nobody contradicts."""
    story = House()
    member = NodeId("10.0.0.7:52415#0")
    story.tell(
        PlacementRead(node=Address(SEED), listed=(MINE, member), models=(stand("m", "i@x"),))
    )
    story.vouches(SEED, other="10.0.0.7:52415")
    story.says(FAR, member)
    listed = (MINE, member)
    story.tell(PlacementRead(node=Address(FAR), listed=listed, models=(), index=10**6))
    assert (story.trust(FAR), story.cluster(SEED)) == ("found", SEED)
    assert told(story.ask("r", local_only=True)) == [f"start {SEED} m"]


def test_a_strangers_word_vouches_for_nobody() -> None:
    story = House(seeded=False)
    story.up(FAR)
    story.read(SEED, "m", mates=FAR)
    story.read(FAR, "m", mates=SEED)
    story.vouches(SEED, other=FAR)
    story.tell(AddressesRead(node=Address("10.0.0.99:1"), addresses={}))
    assert (story.trust(SEED), story.trust(FAR)) == ("found", "found")
    assert story.cluster(FAR) == story.cluster(SEED), "yet they are one cluster"


def test_a_stranger_by_the_id_of_a_host_does_not_take_its_models_down_by_leaving() -> None:
    story = House()
    host = NodeId("10.0.0.7:52415#0")
    placed = stand("m", "i@10.0.0.7:52415")
    story.tell(PlacementRead(node=Address(SEED), listed=(MINE, host), models=(placed,)))
    story.says(FAR, host)
    story.down(FAR)
    story.wait(700.0)
    assert told(story.ask("r")) == [f"start {SEED} m"]


def test_a_stranger_tells_nothing_of_another_clusters_machines() -> None:
    story = House()
    story.up(FAR)
    story.read(FAR)
    story.tell(CapacityRead(node=Address(FAR), capacities={MINE: Capacity(memory_total=1)}))
    assert story.machine.tables.registry.nodes[Address(SEED)].capacity is None


def test_a_node_of_generation_a_is_never_joined_with_one_that_is_only_found() -> None:
    """Generation A tells nobody's address, and not which of the ids is its own."""
    story = House()
    for node in (SEED, FAR):
        story.up(node, generation="A", seeded=node == SEED)
        story.read(node, "m", mates="x y")
    assert story.cluster(SEED) != story.cluster(FAR)
    story.vouches(SEED, other=FAR)
    registry = story.machine.tables.registry
    assert not registry.trust.vouched(registry.nodes[Address(FAR)], by=Address(SEED))
    assert story.trust(FAR) == "found"


def pin(story: Story, node: str, *, trusted: bool = True) -> list[tuple[Address, str | None]]:
    [kept] = story.tell(NodeTrusted(node=Address(node), trusted=trusted))
    assert isinstance(kept, KeepPins)
    return list(kept.pins)


def seen(story: Story, link: str) -> list[tuple[tuple[Address, str | None], ...]]:
    effects = story.tell(LinkSeen(node=Address(FAR), link=link))
    return [each.pins for each in effects if isinstance(each, KeepPins)]


def test_a_pin_lets_what_waits_go_and_untrusting_ends_it() -> None:
    story = Story(LOCAL, FAR)
    assert told(story.ask("r", local_only=True)) == ["refuse 503 local_only_unavailable"]
    assert pin(story, FAR) == [(Address(FAR), None)]
    assert told(story.ask("s", local_only=True)) == [f"start {FAR} m"]
    assert pin(story, FAR, trusted=False) == []
    assert told(story.ask("t", local_only=True)) == ["refuse 503 local_only_unavailable"]
    assert story.tell(NodeTrusted(node=Address(FAR), trusted=False)) == []
    assert [name for name in story.names() if "trusted" in name] == [
        "node_trusted", "node_untrusted",
    ]  # fmt: skip


def test_a_pinned_address_at_which_another_machine_answers_is_unpinned_loudly() -> None:
    story = Story(LOCAL, FAR)
    pin(story, FAR)
    assert seen(story, "aa") == [((Address(FAR), "aa"),)], "the first is kept"
    assert seen(story, "aa") == []
    assert seen(story, "bb") == [()]
    [said] = [each for each in story.said if each.name == "node_unpinned"]
    assert (said.level, said.facts["was"], said.facts["is"]) == ("error", "aa", "bb")
    assert told(story.ask("r", local_only=True)) == ["refuse 503 local_only_unavailable"]
    assert seen(story, "cc") == [], "it is no pin any more"


def test_a_pin_of_an_earlier_run_holds_once_the_same_machine_is_seen() -> None:
    kept = structs.replace(LOCAL, pins=((Address(FAR), "aa"), (Address(SEED), None)))
    story = Story(kept, FAR, SEED)
    trusted = story.machine.tables.registry.nodes
    grounds = [trusted[Address(node)].trust for node in (FAR, SEED)]
    assert grounds == ["found", "pinned"], "what has no link-layer address is trusted by address"
    assert seen(story, "aa") == []
    assert trusted[Address(FAR)].trust == "pinned"


def test_a_pinned_node_is_not_forgotten_and_has_its_room() -> None:
    story = Story(structs.replace(LOCAL, pins=((Address(FAR), None),)), FAR)
    story.down(FAR)
    story.wait(3_600.0)
    assert Address(FAR) in story.machine.tables.registry.nodes
    assert len(story.machine.tables.registry.unverified) == 0


def test_pins_have_a_bound() -> None:
    story = Story(LOCAL)
    for n in range(MAX_PINS):
        pin(story, f"10.1.{n // 250}.{n % 250}:1")
    assert story.tell(NodeTrusted(node=Address(FAR), trusted=True)) == []


def test_one_named_later_is_trusted_from_then_on() -> None:
    story = Story(LOCAL, FAR)
    seen = NodeSighted(node=Address(FAR), url=f"http://{FAR}", source="static", seeded=True)
    story.tell(seen)
    assert told(story.ask("r", local_only=True)) == [f"start {FAR} m"]


def test_a_model_that_a_stranger_says_it_has_is_placed_on_a_trusted_cluster_all_the_same() -> None:
    """Else a word of anybody's would keep it from standing where `local_only` may go."""
    kept = structs.replace(LOCAL, models=(ModelRule("chat", exo=(M,), keep=True),))
    story = House(kept)
    story.up(FAR)
    story.read(FAR, "m")
    story.read(SEED)
    placed = [each for each in story.wait(60.0) + story.read(SEED) if isinstance(each, PlaceModel)]
    assert [each.node for each in placed] == [SEED]
    removed = story.tell(ModelOrdered(models=(M,), order="remove"))
    assert [each.node for each in removed if isinstance(each, RemoveModel)] == []
    story.down(SEED)
    story.wait(60.0)
    gone = story.tell(ModelOrdered(models=(M,), order="remove"))
    assert [each.node for each in gone if isinstance(each, RemoveModel)] == [FAR]


def test_of_two_strangers_by_a_hosts_id_neither_takes_its_models_down() -> None:
    """Also where they went by it before the trusted state named it."""
    story = House()
    host, other = NodeId("10.0.0.7:52415#0"), "10.0.0.67:52415"
    story.says(FAR, host)
    story.says(other, host)
    placed = stand("m", "i@10.0.0.7:52415")
    story.tell(PlacementRead(node=Address(SEED), listed=(MINE, host), models=(placed,)))
    for node in (FAR, other):
        story.down(node)
        assert told(story.ask(node, local_only=True)) == [f"start {SEED} m"]
        story.leave(node)


def test_one_that_is_down_may_be_pinned_and_is_trusted_when_it_is_back() -> None:
    story = Story(LOCAL, FAR)
    story.down(FAR)
    pin(story, FAR)
    story.up(FAR)
    story.up(FAR)
    assert told(story.ask("r", local_only=True)) == [f"start {FAR} m"]


def test_a_word_that_is_repeated_changes_nothing() -> None:
    story = House()
    for _ in range(2):
        story.vouches(SEED, other=FAR)
    assert story.machine.tables.registry.groupings() == []
    assert story.cluster(SEED) == SEED
