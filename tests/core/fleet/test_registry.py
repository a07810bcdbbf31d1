"""Nodes climb their rungs, share states, go down and come back, and the index stays true."""

from typing import ClassVar

import pytest
from hypothesis import stateful as sm
from hypothesis import strategies as st

from exo_supervisor.core.events import NodeSighted, PlacementRead, ProbeAnswered, ProbeFailed
from exo_supervisor.core.fleet.known import MAX_PAST_MODELS, MAX_PAST_NODES, Known
from exo_supervisor.core.fleet.nodes import MAX_CLAIMS, is_another
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.fleet.registry import MAX_NODES, Registry
from exo_supervisor.core.fleet_events import FORGET
from exo_supervisor.core.names import Address, Generation, ModelId, NodeId
from exo_supervisor.core.network import Why
from exo_supervisor.wire.exo.traits import PEERS
from tests.core.invariants import check_clusters, check_index, check_judgement
from tests.core.story import stand

A, B, M, N = Address("a:1"), Address("b:1"), ModelId("m"), ModelId("n")


class House:
    """A registry and short words for what it hears."""

    def __init__(self, *nodes: Address) -> None:
        self.registry = Registry(peers=PEERS)
        for node in nodes:
            self.sight(node)

    def sight(
        self, node: Address, now: float = 0.0, *, seeded: bool = False, claimed: str | None = None
    ) -> bool:
        who = None if claimed is None else NodeId(claimed)
        url = f"http://{node}"
        seen = NodeSighted(node=node, url=url, source="test", seeded=seeded, claimed=who)
        return self.registry.sight(seen, now)

    def answer(
        self,
        node: Address,
        node_id: str | None = None,
        now: float = 0.0,
        generation: Generation = "C",
    ) -> str:
        name = None if node_id is None else NodeId(node_id)
        event = ProbeAnswered(node=node, generation=generation, node_id=name, latency=0.1)
        return self.registry.answered(event, now)

    def belies(self, node: Address, node_id: str | None) -> bool:
        name = None if node_id is None else NodeId(node_id)
        event = ProbeAnswered(node=node, generation="B", node_id=name, latency=0.1)
        return is_another(self.registry.nodes[node], event)

    def read(self, node: Address, listed: str = "", now: float = 0.0, **models: bool) -> None:
        placed = tuple(Placed(ModelId(model), ready) for model, ready in models.items())
        ids = tuple(NodeId(node_id) for node_id in listed.split())
        self.registry.read(PlacementRead(node=node, listed=ids, models=placed), now)

    def miss(self, node: Address, times: int = 3, now: float = 0.0) -> list[bool]:
        missed = ProbeFailed(node=node, why="refused")
        return [self.registry.missed(missed, now) for _ in range(times)]

    def rung(self, node: Address) -> str:
        return self.registry.nodes[node].rung

    def clusters(self) -> dict[str, str]:
        clusters = self.registry.clusters.values()
        return {str(cluster.key): " ".join(cluster.members) for cluster in clusters}


def test_a_node_climbs_and_says_since_when() -> None:
    house = House(A)
    heard = [house.rung(A)]
    house.answer(A, "x", 1.0)
    heard.append(house.rung(A))
    house.read(A, "x", 2.0)
    heard.append(house.rung(A))
    house.read(A, "x", 3.0, m=False)
    heard.append(house.rung(A))
    house.read(A, "x", 4.0, m=True)
    heard.append(house.rung(A))
    house.read(A, "x", 5.0, m=True)
    assert heard == ["seen", "identified", "clustered", "placed", "ready"]
    assert house.registry.nodes[A].since == 4.0


def test_the_state_of_a_node_that_never_was_up_says_nothing() -> None:
    house = House(A)
    house.read(A, "x", 1.0, m=True)
    assert (house.rung(A), house.clusters()) == ("seen", {})


def test_who_has_told_no_list_is_in_no_cluster_although_it_is_looked_at_anew() -> None:
    house = House(A)
    house.answer(A, "x", 1.0)
    house.registry.retrust(A, 2.0)
    assert (house.rung(A), house.clusters()) == ("identified", {})


def test_generation_a_has_no_rungs_between() -> None:
    house = House(A)
    house.answer(A, generation="A")
    house.read(A, "x", m=False)
    assert house.rung(A) == "identified"
    house.read(A, "x", m=True)
    assert house.rung(A) == "ready"


@pytest.mark.parametrize(("why", "rung"), [("not_exo", "reachable"), ("refused", "seen")])
def test_somebody_else_answered_or_nobody(why: str, rung: str) -> None:
    house = House(A)
    name: Why = "not_exo" if why == "not_exo" else "refused"
    house.registry.missed(ProbeFailed(node=A, why=name, detail="nginx"), 1.0)
    assert (house.rung(A), house.registry.nodes[A].looked) == (rung, True)


def test_up_at_the_first_answer_down_at_the_third_miss_back_at_the_second_answer() -> None:
    house = House(A)
    assert house.answer(A, "x") == "up"
    house.read(A, "x", m=True)
    assert house.miss(A, 2) == [False, False]
    assert house.answer(A, "x") == "same"
    assert house.miss(A, 3) == [False, False, True]
    assert (house.registry.where_ready(M), house.registry.any_up()) == ([], False)
    assert house.miss(A, 1) == [False], "down already"
    assert house.answer(A, "x") == "same"
    house.miss(A, 1)
    assert [house.answer(A, "x"), house.answer(A, "x")] == ["same", "up"], "two in a row"
    assert house.registry.where_ready(M) == [A]


def test_one_that_was_down_and_started_again_is_up_at_once() -> None:
    house = House(A)
    house.answer(A, "x")
    house.miss(A)
    assert house.answer(A, "y") == "up"


def test_of_a_node_that_is_forgotten_no_row_is_left() -> None:
    house = House(A, B)
    house.answer(A, "x")
    house.answer(B, "y")
    house.read(B)
    house.read(A, "x y")
    rows = vars(house.registry.topology)
    assert house.clusters() == {"b:1": "a:1 b:1"}, "by the word of one of them, for a while"
    assert B in rows["_one_sided"]
    for node in (B, A):
        house.registry.forget(node, 1.0)
    assert not any(rows[name] for name in ("_nodes", "_clusters", "_ids", "_one_sided", "_waits"))


def test_whose_word_a_forgotten_node_waited_for_is_forgotten_with_it() -> None:
    house = House(A, B)
    house.answer(B, "y")
    house.read(B, "y")
    house.answer(A, "x", 5.0)
    house.read(A, "x y", 6.0)
    waits = vars(house.registry.topology)["_waits"]
    assert waits == {A: [B]}
    house.registry.forget(A, 7.0)
    assert waits == {}


def test_whoever_was_waited_for_and_told_is_waited_for_no_more() -> None:
    house = House(A, B)
    house.answer(B, "y")
    house.read(B, "y")
    house.answer(A, "x", 5.0)
    house.read(A, "x y", 6.0)
    house.read(B, "x y", 7.0)
    assert house.clusters() == {"b:1": "a:1 b:1"}
    assert vars(house.registry.topology)["_waits"] == {}


def test_a_tie_of_one_side_is_one_no_more_once_the_other_has_told_the_same() -> None:
    house = House(A, B)
    house.answer(A, "x")
    house.answer(B, "y")
    house.read(B)
    house.read(A, "x y")
    one_sided = vars(house.registry.topology)["_one_sided"]
    assert list(one_sided) == [B]
    house.read(B, "x y")
    assert one_sided == {}


def test_what_was_told_and_stands_now_is_known_once() -> None:
    known = Known(lambda _: True, lambda: (M, N))
    known.remember(A, (M,))
    assert (list(known), len(known)) == ([M, N], 2)


def test_no_two_groupings_go_by_one_version() -> None:
    """Whoever has seen one asks by it whether anything has changed since."""
    house, seen = House(A, B), [0]
    for node, node_id in ((A, "x"), (B, "y"), (A, "z"), (B, "w")):
        house.answer(node, node_id)
        seen.append(house.registry.grouping_version)
        house.read(node, node_id)
        seen.append(house.registry.grouping_version)
    assert seen == sorted(seen)
    assert seen[-1] > 0


def test_a_node_that_started_again_has_no_models() -> None:
    house = House(A)
    house.answer(A, "x")
    house.read(A, "x", m=True)
    assert house.registry.nodes[A].restarted_at is None
    assert house.answer(A, "y", 7.0) == "restarted"
    assert house.registry.nodes[A].restarted_at == 7.0
    assert house.registry.where_ready(M) == []
    assert (house.registry.address_of(NodeId("x")), house.registry.address_of(NodeId("y"))) == (
        None, A,
    )  # fmt: skip


def test_a_node_that_started_again_leaves_the_others_their_models() -> None:
    """It would answer for a state that it does not have, or wipe theirs with its empty one."""
    house = House(A, B)
    for node, node_id in ((A, "x"), (B, "y")):
        house.answer(node, node_id)
        house.read(node, "x y", m=True)
    assert house.clusters() == {"a:1": "a:1 b:1"}
    house.answer(A, "z")
    assert (house.registry.where_ready(M), house.rung(A)) == ([B], "identified")
    house.read(A, "")
    assert house.registry.where_ready(M) == [B]
    assert house.clusters() == {"a:1": "b:1", "a:1+": "a:1"}
    house.read(B, "y z", m=True)
    house.read(A, "y z", m=True)
    assert house.clusters() == {"a:1": "a:1 b:1"}
    assert house.registry.where_ready(M) == [A, B]


def test_an_equal_id_is_an_alias_and_never_a_second_target() -> None:
    house = House(A, B)
    house.answer(A, "x")
    house.read(A, "x", m=True)
    assert house.answer(B, "x") == "up"
    house.read(B, "x", m=True)
    node = house.registry.nodes[B]
    assert (node.alias_of, node.cluster, node.looked) == (A, None, True)
    assert house.registry.where_ready(M) == [A]


def test_an_alias_steps_in_when_the_first_address_goes_down() -> None:
    house = House(A, B)
    for node in (A, B):
        house.answer(node, "x")
    house.read(A, "x", m=True)
    house.miss(A)
    house.answer(B, "x")
    house.read(B, "x", m=True)
    assert house.registry.where_ready(M) == [B]
    house.answer(A, "x")
    house.answer(A, "x")
    assert house.registry.nodes[A].alias_of == B
    assert house.registry.where_ready(M) == [B]


def test_an_alias_steps_in_for_one_that_answered_but_never_came_back() -> None:
    house = House(A, B)
    for node in (A, B):
        house.answer(node, "x")
    house.miss(A)
    house.answer(A, "x")
    house.miss(A)
    house.answer(B, "x")
    assert house.registry.nodes[B].alias_of is None


def test_an_alias_leaves_its_old_cluster_and_waits_for_a_list_of_its_own() -> None:
    house = House(A, B)
    for node in (A, B):
        house.answer(node, "x")
    house.read(A, "x", m=True)
    house.miss(A)
    house.answer(B, "x")
    house.answer(A, "x")
    house.answer(A, "x")
    house.read(B, "x", m=True)
    assert (house.registry.nodes[A].cluster, house.clusters()) == (None, {"b:1": "b:1"})
    house.miss(B)
    house.answer(A, "x")
    house.read(A, "", m=True)
    assert house.registry.nodes[A].cluster is None
    house.read(A, "x", m=True)
    assert house.registry.where_ready(M) == [A]


def test_an_id_is_free_when_its_node_is_forgotten() -> None:
    house = House(A)
    house.answer(A, "x")
    house.registry.forget(A, 0.0)
    assert house.registry.address_of(NodeId("x")) is None


def test_nodes_without_ids_are_nobodys_alias() -> None:
    house = House(A, B)
    for node in (A, B):
        house.answer(node, generation="A")
        house.read(node, "p q", m=True)
    assert house.clusters() == {"a:1": "a:1 b:1"}, "their lists share ids"
    assert house.registry.where_ready(M) == [A, B]


def test_generation_a_without_lists_stands_alone() -> None:
    house = House(A, B)
    for node in (A, B):
        house.answer(node, generation="A")
        house.read(node, "", m=True)
    assert house.clusters() == {"a:1": "a:1", "b:1": "b:1"}


def test_an_empty_list_keeps_the_last_grouping_for_fifteen_seconds() -> None:
    house = House(A, B)
    for node, node_id in ((A, "x"), (B, "y")):
        house.answer(node, node_id)
    house.read(A, "x y", 100.0)
    house.read(B, "x y", 100.0)
    house.read(B, "", 114.9)
    assert house.clusters() == {"a:1": "a:1 b:1"}
    house.read(B, "", 115.0)
    assert house.clusters() == {"a:1": "a:1", "b:1": "b:1"}


def test_one_side_of_a_list_is_not_enough() -> None:
    """Anybody can list an id; and Exo's `--no-worker` nodes, which nobody lists, stand alone."""
    house = House(A, B)
    house.answer(A, "x")
    house.read(A, "x other", m=True)
    house.answer(B, "y", 1.0)
    house.read(B, "x", 1.0)
    assert house.clusters() == {"a:1": "a:1"}, "A was not asked since B came"
    house.read(A, "x other", 2.0, m=True)
    house.read(B, "x", 2.0)
    assert house.clusters() == {"a:1": "a:1", "b:1": "b:1"}
    house.read(A, "x y", m=True)
    assert house.clusters() == {"a:1": "a:1 b:1"}


def test_one_side_is_enough_for_a_while_where_a_list_has_not_come() -> None:
    house = House(A, B)
    for node, node_id in ((A, "x"), (B, "y")):
        house.answer(node, node_id, 100.0)
    house.read(B, "", 101.0)
    house.read(A, "x y", 101.0)
    assert house.clusters() == {"b:1": "a:1 b:1"}
    house.read(A, "x y", 114.9)
    assert house.clusters() == {"b:1": "a:1 b:1"}
    house.read(A, "x y", 115.0)
    assert len(house.clusters()) == 2, "and no longer, though nobody's list has changed"


def test_a_split_leaves_both_parts_their_models_until_they_say_more() -> None:
    house = House(A, B)
    for node, node_id in ((A, "x"), (B, "y")):
        house.answer(node, node_id)
        house.read(node, "x y", m=True)
    house.read(A, "x", 1.0, m=True)
    house.read(B, "y", 1.0, n=True)
    assert house.clusters() == {"a:1": "a:1", "b:1": "b:1"}
    assert (house.registry.where_ready(M), house.registry.where_ready(N)) == ([A], [B])
    assert set(house.registry.known) == {M, N}


def test_members_take_turns_in_being_asked() -> None:
    house = House(A, B)
    for node, node_id in ((A, "x"), (B, "y")):
        house.answer(node, node_id)
        house.read(node, "x y")
    [cluster] = house.registry.clusters.values()
    assert {house.registry.reader(cluster) for _ in range(2)} == {A, B}
    house.miss(B)
    assert {house.registry.reader(cluster) for _ in range(2)} == {A}
    house.miss(A)
    assert house.registry.reader(cluster) is None


def test_unplace_believes_a_node_until_its_state_is_read() -> None:
    house = House(A, B)
    house.registry.unplace(Address("stranger:1"), M, 0.0)
    house.registry.unplace(B, M, 0.0)
    house.answer(A, "x")
    house.read(A, "x", m=True)
    house.registry.unplace(A, N, 0.0)
    assert house.registry.where_ready(M) == [A]
    house.registry.unplace(A, M, 0.0)
    assert (house.registry.where_ready(M), house.rung(A)) == ([], "placed")
    house.read(A, "x", m=True)
    assert house.registry.where_ready(M) == [A]


def test_the_silent_are_forgotten_and_the_seeded_never() -> None:
    house = House(A)
    house.sight(B, seeded=True)
    assert not house.sight(A, 10.0)
    assert house.registry.forgettable(9.0 + FORGET, FORGET) == []
    assert house.registry.forgettable(10.0 + FORGET, FORGET) == [A]
    house.answer(A, "x", 10.0 + FORGET)
    house.read(A, "x")
    assert house.registry.forgettable(9.0 * FORGET, FORGET) == []
    house.miss(A, now=11.0 + FORGET)
    assert house.registry.forgettable(9.0 + 2 * FORGET, FORGET) == [], "from its last answer on"
    assert house.registry.forgettable(10.0 + 2 * FORGET, FORGET) == [A]
    house.registry.forget(A, 99.0)
    [*_, grouping] = house.registry.groupings()
    assert grouping.members == {}
    assert house.clusters() == {}
    house.registry.forget(B, 99.0)
    assert house.registry.groupings() == []
    assert house.registry.nodes == {}


def test_the_table_has_a_bound() -> None:
    house = House()
    for n in range(MAX_NODES):
        assert house.sight(Address(f"n{n}:1"), seeded=n % 2 == 0)
    assert not house.sight(A, seeded=True)
    again = NodeSighted(node=Address("n1:1"), url="http://n1:1", source="test")
    assert house.registry.has_room(again), "who has a place may be told of anew"
    assert len(house.registry.nodes) == MAX_NODES


def test_what_is_placed_is_known_and_the_past_has_a_share_per_node() -> None:
    house = House(A, B)
    house.answer(A, "x")
    house.answer(B, "y")
    house.read(A, "x", real=True)
    house.read(A, "x")
    flood = {f"m{n}": False for n in range(MAX_PAST_MODELS + 900)}
    house.read(B, "y", **flood)
    assert all(ModelId(model) in house.registry.known for model in ("real", *flood))
    house.read(B, "y")
    assert ModelId("real") in house.registry.known
    assert set(house.registry.known) == {"real", *list(flood)[-MAX_PAST_MODELS:]}


def test_of_the_nodes_of_the_past_the_longest_gone_makes_room() -> None:
    known = Known(lambda _: False, tuple)
    for n in range(MAX_PAST_NODES + 1):
        known.remember(Address(f"n{n}:1"), (ModelId(f"m{n}"), ModelId("all")))
    assert ModelId("m0") not in known
    assert {ModelId("m1"), ModelId("all")} <= set(known)
    assert len(known) == MAX_PAST_NODES + 1


def test_a_node_that_was_only_announced_has_to_be_who_was_announced() -> None:
    house = House()
    house.sight(A, claimed="x")
    assert [house.belies(A, each) for each in ("x", "y", None)] == [False, True, True]
    house.sight(A, claimed="y")
    assert [house.belies(A, each) for each in ("x", "y", "z")] == [False, False, True]


@pytest.mark.parametrize("first", [True, False])
def test_a_source_that_claims_nothing_vouches_for_any_exo(*, first: bool) -> None:
    house = House()
    house.sight(A, claimed=None if first else "x")
    house.sight(A, claimed="x" if first else None)
    assert not house.belies(A, "y")
    assert not house.belies(A, None)


def test_one_that_proved_to_be_who_was_announced_may_start_again() -> None:
    house = House()
    house.sight(A, claimed="x")
    house.answer(A, "x")
    house.sight(A, claimed="x")
    assert not house.belies(A, "y")
    assert house.answer(A, "y") == "restarted"


def test_the_claims_for_one_address_have_a_bound_and_the_newest_stay() -> None:
    """Each host announces its own Docker bridge, which has the same address everywhere."""
    house = House()
    for n in range(MAX_CLAIMS + 1):
        house.sight(A, claimed=f"n{n}")
    house.sight(A, claimed="n1")
    house.sight(A, claimed="last")
    assert [house.belies(A, each) for each in ("n0", "n1", "n2", "n3", "last")] == [
        True, False, True, False, False,
    ]  # fmt: skip
    claims = house.registry.nodes[A].claims
    assert claims is not None
    assert len(claims) == MAX_CLAIMS


def test_an_alias_whose_owner_was_forgotten_may_still_tell() -> None:
    house = House(A, B)
    house.answer(A, "x")
    house.answer(B, "x")
    house.miss(A)
    house.registry.forget(A, 1.0)
    house.read(B, "x", 2.0, m=True)
    assert (house.rung(B), [*house.registry.ready_models()]) == ("identified", [])
    house.answer(B, "x", 3.0)
    house.read(B, "x", 4.0, m=True)
    assert house.rung(B) == "ready"


def test_a_host_that_left_and_lags_no_more_is_judged_anew_where_it_is_still_named() -> None:
    house = House(A, B)
    house.answer(A, "w#0", generation="B")
    house.answer(B, "x#0", generation="B")
    on_x = stand("m", "i@x")
    for node, index, models in ((A, 1, (on_x,)), (B, 0, ())):
        listed = (NodeId("x#0"),) if node == A else ()
        event = PlacementRead(node=node, listed=listed, models=models, index=index)
        house.registry.read(event, 0.0)
    house.read(B, "", 15.0, m=False)
    check_judgement(house.registry)


class AnyNews(sm.RuleBasedStateMachine):
    """Sightings, answers, silence, restarts, lists and states in any order."""

    nodes: ClassVar[list[Address]] = [Address(f"{name}:1") for name in "abcd"]
    some = st.sampled_from(nodes)
    ids = st.sampled_from(["w#0", "x#0", "y#0", "z#0"])

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.house = House(*self.nodes[:2])

    @sm.rule(node=some)
    def sight(self, node: Address) -> None:
        self.house.sight(node, self.now)

    @sm.rule(node=some, node_id=ids | st.none(), generation=st.sampled_from("ABC"))
    def answer(self, node: Address, node_id: str | None, generation: Generation) -> None:
        if node in self.house.registry.nodes:
            self.house.answer(node, node_id, self.now, generation)

    @sm.rule(node=some, times=st.integers(1, 3))
    def miss(self, node: Address, times: int) -> None:
        if node in self.house.registry.nodes:
            self.house.miss(node, times, self.now)

    @sm.rule(node=some, listed=st.lists(ids, max_size=3), m=st.booleans(), n=st.booleans())
    def read(self, node: Address, listed: list[str], *, m: bool, n: bool) -> None:
        if node in self.house.registry.nodes:
            self.house.read(node, " ".join(listed), self.now, m=m, n=n)

    @sm.rule(
        node=some,
        listed=st.lists(ids, max_size=3),
        index=st.integers(-1, 40) | st.none(),
        copies=st.lists(st.tuples(st.sampled_from("mn"), st.lists(ids, max_size=2)), max_size=3),
        orphans=st.sets(st.sampled_from("opqr")),
    )
    def tell(
        self,
        node: Address,
        listed: list[str],
        index: int | None,
        copies: list[tuple[str, list[str]]],
        orphans: set[str],
    ) -> None:
        if node not in self.house.registry.nodes:
            return
        found: dict[str, list[str]] = {}
        for n, (model, hosts) in enumerate(copies):
            at = ",".join(host.removesuffix("#0") for host in hosts)
            found.setdefault(model, []).append(f"i{n}@{at}")
        models = tuple(stand(model, *each) for model, each in found.items())
        ids = tuple(NodeId(each) for each in listed)
        event = PlacementRead(
            node=node, listed=ids, models=models, index=index, runners=1, orphans=tuple(orphans)
        )
        self.house.registry.read(event, self.now)

    @sm.rule(node=some)
    def unplace(self, node: Address) -> None:
        self.house.registry.unplace(node, M, self.now)

    @sm.rule(seconds=st.floats(0, 700))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @sm.rule()
    def forget(self) -> None:
        for node in self.house.registry.forgettable(self.now, FORGET):
            self.house.registry.forget(node, self.now)

    @sm.invariant()
    def the_books_agree(self) -> None:
        check_index(self.house.registry)
        check_clusters(self.house.registry)
        check_judgement(self.house.registry)

    @sm.invariant()
    def an_id_belongs_to_one_address_and_aliases_serve_nobody(self) -> None:
        registry = self.house.registry
        for node in registry.nodes.values():
            if node.up and node.node_id is not None and node.alias_of is None:
                assert registry.address_of(node.node_id) == node.address
        for model in registry.ready_models():
            assert all(registry.nodes[at].alias_of is None for at in registry.where_ready(model))


TestAnyNews = AnyNews.TestCase
