"""What the house shows of itself is what is so."""

import msgspec
from msgspec import structs

from exo_supervisor.core.books.budgets import Calendar, Payer, Spent
from exo_supervisor.core.events import (
    CalendarRead,
    CapacityRead,
    ProviderFailed,
    ProviderListed,
    SpendingRead,
    SpendingUnread,
)
from exo_supervisor.core.fleet.capacity import Capacity
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.fleet.provider_keys import KEY_REST
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, ModelId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import BudgetRules, Cloud, Limits, Policy
from exo_supervisor.views import models
from exo_supervisor.views.breakers import breakers
from exo_supervisor.views.budgets import BudgetSeen
from exo_supervisor.views.day_book import DayBook
from exo_supervisor.views.nodes import nodes
from exo_supervisor.views.providers import KeySeen
from exo_supervisor.views.request_done import RequestDone, RequestLine
from exo_supervisor.views.status import Status, status
from exo_supervisor.views.tally import Tally
from exo_supervisor.views.verdict import Verdict
from tests.core.story import BOTH, CHAT, LOCAL, M, P, Q, Story, X, stand

LOADING = Placed(M, ready=False)


def wall(instant: float) -> str:
    return f"t{instant:g}"


def shown(story: Story, tally: Tally | None = None) -> Status:
    return status(
        story.machine, story.now, version="1", config="f", quiet=["mdns is quiet"], wall=wall,
        tally=tally or Tally(), book=DayBook(lambda: 0.0, "USD"), sockets=(),
        verdict=Verdict("well", ()), ledger=None,
    )  # fmt: skip


def test_a_node_is_shown_with_its_cluster_its_models_and_its_breaker() -> None:
    story = Story(LOCAL, "n:1")
    story.read("n:1", M, loading="other")
    [node] = nodes(story.machine, story.now, wall)
    assert (node.id, node.url, node.generation, node.cluster) == ("n:1", "http://n:1", "C", "n:1")
    assert (node.rung, node.why, node.advice) == ("ready", None, None)
    assert [(model.id, model.ready) for model in node.models] == [("m", True), ("other", False)]
    assert (node.breaker.state, node.sources, node.latency) == ("closed", ["test"], 0.01)


def test_a_node_shows_what_its_machine_bears_when_it_is_known() -> None:
    story = Story(LOCAL, "n:1")
    [node] = nodes(story.machine, story.now, wall)
    assert node.capacity is None
    story.wait(2.0)
    known = Capacity(memory_total=64, memory_available=48, gpu=0.5, chip="Apple M3")
    story.tell(CapacityRead(node=Address("n:1"), capacities={}, own=known))
    [node] = nodes(story.machine, story.now, wall)
    assert msgspec.json.decode(msgspec.json.encode(node.capacity)) == {
        "memory_total": 64, "memory_available": 48, "gpu": 0.5, "cpu": None,
        "temperature": None, "power": None, "chip": "Apple M3", "read_at": "t7",
    }  # fmt: skip


def test_a_model_that_is_stuck_says_so_and_for_how_long() -> None:
    story = Story(LOCAL, "n:1")
    for why, state in (("loading", "loading"), ("runner_failed", "failed"), ("", "placed")):
        story.tells("n:1", stand("m", "i1@n:1", why=why or "idle") if why else LOADING)
        story.wait(299.0)
        [row] = models.models(story.machine, story.now, wall)[:1]
        assert row.where[0].why == why
        story.wait(61.0)
        [row] = models.models(story.machine, story.now, wall)[:1]
        assert (row.state, row.where[0].why) == (state, f"{why or 'not ready'}, stuck for 6 min")


def test_a_model_that_an_election_took_says_so() -> None:
    story = Story(LOCAL, "n:1")
    story.tells("n:1", stand("m", "i1@n:1"), index=500)
    story.tells("n:1", index=-1)
    story.wait(8.0)
    rows = {row.id: row for row in models.models(story.machine, story.now, wall)}
    assert (rows["chat"].state, rows["chat"].where) == ("down", [])
    assert rows["chat"].why == rows["m"].why == "n:1 re-elected 8 s ago and lost it"
    story.tells("n:1", stand("n", "i2@n:1"), index=3)
    rows = {row.id: row for row in models.models(story.machine, story.now, wall)}
    assert rows["n"].why is None
    assert rows["m"].why is not None
    story.tells("n:1", stand("m", "i3@n:1", why="loading"), index=5)
    rows = {row.id: row for row in models.models(story.machine, story.now, wall)}
    assert (rows["m"].state, rows["m"].why) == ("loading", None)
    story.tells("n:1", index=9)
    assert models.models(story.machine, story.now, wall)[0].why is None, "taken away by a person"


def test_a_node_that_is_down_shows_why_and_no_models() -> None:
    story = Story(LOCAL, "n:1")
    known = Capacity(memory_total=64, memory_available=48)
    story.tell(CapacityRead(node=Address("n:1"), capacities={}, own=known))
    story.down("n:1")
    [node] = nodes(story.machine, story.now, wall)
    assert (node.models, node.latency, node.rung) == ([], None, "seen")
    assert (node.was, node.capacity) == ("ready", None)
    assert node.why == "down since 0 s, was ready: the host is up, but nothing listens there"
    status = shown(story)
    assert status.looked[0] == f"n:1 {node.why}"
    assert (status.down, status.nodes["seen"]) == (1, 1)


def test_another_address_of_a_node_is_no_second_node() -> None:
    story = Story(LOCAL, "n:1")
    story.up("n:1")
    registry = story.machine.tables.registry
    twin = registry.nodes[Address("n:1")]
    registry.nodes[Address("n:2")] = msgspec.structs.replace(
        twin, address=Address("n:2"), alias_of=Address("n:1")
    )
    assert [node.id for node in nodes(story.machine, story.now, wall)] == ["n:1"]
    assert [row.target for row in breakers(story.machine, wall)] == ["n:1"]
    assert sum(shown(story).nodes.values()) == 1


def test_every_target_has_a_breaker_and_models_only_with_a_past() -> None:
    story = Story(BOTH, "n:1")
    assert [(row.target, row.model, row.state) for row in breakers(story.machine, wall)] == [
        ("n:1", None, "closed"),
        ("p", None, "closed"),
        ("q", None, "closed"),
    ]
    story.ask("r")
    story.fail("r", Fault.RESET)
    story.begin("r")
    [row, *_] = breakers(story.machine, wall)
    assert (row.target, row.state, row.failures, row.last) == ("n:1", "closed", 1, "reset")


def test_a_forced_breaker_says_who_did_it_and_since_when() -> None:
    story = Story(LOCAL, "n:1")
    story.wait(7.0)
    story.force("n:1", "open")
    [row] = breakers(story.machine, wall)
    assert (row.state, row.forced, row.reason, row.until) == ("open", True, "operator", None)
    assert row.since == wall(story.now)
    story.force("n:1", None)
    [row] = breakers(story.machine, wall)
    assert (row.state, row.forced, row.since) == ("closed", False, None)


def test_models_stand_where_they_stand() -> None:
    story = Story(BOTH, "n:1")
    rows = {row.id: row for row in models.models(story.machine, story.now, wall)}
    assert next(iter(rows)) == "chat"
    assert rows["chat"].state == "ready"
    assert [(at.target, at.model, at.ready) for at in rows["chat"].where] == [
        ("n:1", M, True),
        ("p", X, True),
        ("q", X, True),
    ]
    assert rows["x"].state == "cloud"
    story.read("n:1", loading=M)
    rows = {row.id: row for row in models.models(story.machine, story.now, wall)}
    assert rows["m"].state == "placed"
    assert not rows["m"].where[0].ready
    story.down("n:1")
    rows = {row.id: row for row in models.models(story.machine, story.now, wall)}
    assert rows["chat"].state == "cloud"


def test_a_provider_whose_key_was_refused_is_shown_with_its_reason() -> None:
    story = Story(BOTH)
    story.machine.tables.clouds.refused_key(P, 0, story.now, 401)
    rows = {row.id: row for row in models.models(story.machine, story.now, wall)}
    assert [(at.target, at.ready, at.why) for at in rows["chat"].where] == [
        ("p", False, "it refused its key"),
        ("q", True, ""),
    ]
    assert [(seen.name, seen.state) for seen in shown(story).providers] == [
        ("p", "bad_key"),
        ("q", "ready"),
    ]


def test_of_several_keys_the_refused_ones_are_told_by_number_with_why_and_until_when() -> None:
    story = Story(structs.replace(BOTH, clouds=(Cloud(P, "https://p.example", keys=3),)))
    clouds = story.machine.tables.clouds
    clouds.refused_key(P, 1, story.now, 401)
    [seen] = shown(story).providers
    until = wall(story.now + KEY_REST)
    assert (seen.state, seen.keys) == ("ready", 3)
    assert seen.refused == [KeySeen(2, "refused with status 401", until)]
    assert seen.why == f"key 2 of 3: refused with status 401, until {until}"
    clouds.refused_key(P, 0, story.now, 402, "Insufficient Balance")
    [seen] = shown(story).providers
    assert next((key.key, key.why) for key in seen.refused) == (1, "Insufficient Balance")
    clouds.refused_key(P, 2, story.now, 401)
    [seen] = shown(story).providers
    assert (seen.state, len(seen.refused)) == ("bad_key", 3)
    story.wait(KEY_REST)
    assert shown(story).providers[0].refused == []


ENDED = [
    ("n:1", "success"), ("p", "success"), (None, "success"), (None, "refused"),
    ("p", "refused"), ("p", "neutral"), ("n:1", "failure"), ("n:1", "abandoned"),
]  # fmt: skip


def test_the_status_counts_requests_and_nodes() -> None:
    story = Story(BOTH, "n:1")
    story.ask("open")
    tally = Tally()
    for target, outcome in ENDED:
        tally.done(RequestDone(RequestLine("r", target=target, outcome=outcome)))
    status = shown(story, tally)
    assert (status.ready, status.uptime, status.config) == (True, 5.0, "f")
    assert (status.requests["now"], status.requests["in_flight"]) == (1, 1)
    ends = {"exo": 1, "cloud": 1, "here": 1, "refused": 3, "failed": 1, "abandoned": 1}
    assert {end: status.requests[end] for end in ends} == ends
    assert (status.requests["total"], status.requests["served"]) == (len(ENDED), 3)
    assert list(status.nodes) == ["seen", "reachable", "identified", "clustered", "placed", "ready"]
    assert status.nodes["ready"] == 1
    assert "mdns is quiet" in status.looked
    assert msgspec.json.decode(msgspec.json.encode(status), type=Status) == status


def test_an_empty_house_has_a_status_too() -> None:
    story = Story(Policy())
    status = shown(story)
    assert (status.ready, status.providers, sum(status.nodes.values())) == (False, [], 0)
    assert nodes(story.machine, story.now, wall) == []
    assert models.models(story.machine, 5.0, wall) == []
    assert breakers(story.machine, wall) == []


def test_what_an_operator_holds_stands_in_the_status() -> None:
    story = Story(BOTH, "n:1")
    assert shown(story).held == []
    story.force("n:1", "open")
    story.force("p", "closed", "x")
    held = [(row.target, row.model, row.state) for row in shown(story).held]
    assert held == [("n:1", None, "open"), ("p", "x", "closed")]


def test_the_first_look_is_told_while_it_lasts() -> None:
    machine = Machine(structs.replace(BOTH, seeds=((Address("n:1"), "http://n:1"),)), 0.0)
    told = status(
        machine,
        0.0,
        version="1",
        config=None,
        quiet=[],
        wall=wall,
        tally=Tally(),
        book=DayBook(lambda: 0.0, "USD"),
        sockets=(),
        verdict=Verdict("well", ()),
        ledger=None,
    )
    assert (told.looking, told.ready) == (True, False)
    assert not shown(Story(BOTH)).looking


def test_nodes_stand_in_the_order_of_their_addresses_whenever_they_came() -> None:
    story = Story(LOCAL)
    for node in ("zeta:1", "10.0.0.10:2", "10.0.0.9:52415", "10.0.0.10:1", "odd"):
        story.up(node)
    order = [node.id for node in nodes(story.machine, story.now, wall)]
    assert order == ["10.0.0.9:52415", "10.0.0.10:1", "10.0.0.10:2", "odd", "zeta:1"]


def test_a_provider_that_was_not_reached_or_does_not_list_a_model_is_not_ready_for_it() -> None:
    rule = structs.replace(CHAT, cloud=((P, ModelId("nosuch")), (Q, X)))
    story = Story(structs.replace(BOTH, models=(rule,)))
    story.tell(ProviderFailed(provider=Q, why="timeout", detail="no answer in time"))
    row = models.models(story.machine, story.now, wall)[0]
    assert [(at.target, at.ready, at.why) for at in row.where] == [
        ("p", False, "p does not list nosuch"),
        ("q", False, "unreachable"),
    ]
    assert row.state == "down"
    story.tell(ProviderListed(provider=Q, models=(X,)))
    story.force("q", "open")
    row = models.models(story.machine, story.now, wall)[0]
    assert row.where[1].why == "held open by the operator"


def test_an_alias_and_what_it_stands_for_are_one_model() -> None:
    story = Story(BOTH, "n:1")
    rows = {row.id: row for row in models.models(story.machine, story.now, wall)}
    assert {name: row.alias_of for name, row in rows.items()} == {
        "chat": None, "m": "chat", "x": "chat",
    }  # fmt: skip
    apart = structs.replace(CHAT, cloud=((P, X),))
    story = Story(structs.replace(BOTH, models=(apart,)), "n:1")
    rows = {row.id: row for row in models.models(story.machine, story.now, wall)}
    assert rows["x"].alias_of is None, "another provider has it, too"


def test_a_provider_that_is_at_its_limit_says_until_when() -> None:
    story = Story(BOTH)
    story.machine.tables.busy.note((P, X, 0), 60.0, 0.0, story.now)
    [limited, free] = shown(story).providers
    assert limited.why == f"busy or at its limit until {wall(story.now + 60.0)}"
    assert (limited.state, free.why) == ("ready", None)
    story.wait(60.0)
    assert shown(story).providers[0].why is None


def test_budgets_are_told_as_people_write_money() -> None:
    clouds = (structs.replace(BOTH.clouds[0], budget=Limits(month=30 * 10**12)), BOTH.clouds[1])
    rules = BudgetRules(Limits(day=10**11), currency="EUR")
    story = Story(structs.replace(BOTH, clouds=clouds, budgets=rules))
    day = Calendar("2026-01-31", "2026-01", story.now + 60.0)
    story.tell(SpendingUnread(why="it is shut"))
    assert {row.why for row in shown(story).budgets} == {"it is shut"}
    story.tell(CalendarRead(calendar=day))
    story.tell(SpendingRead(span="day", paid=(Spent(Payer("anna", 0, P), 5 * 10**9),)))
    until = wall(story.now + 60.0)
    assert shown(story).budgets == [
        BudgetSeen("house", None, "day", "EUR", "0.10", "0.005", "0.00", until),
        BudgetSeen("provider", "p", "month", "EUR", "30.00", "0.00", "0.00", None),
    ]
