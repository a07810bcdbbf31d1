"""A policy takes another's place: the next decision is by the new one, what began goes on."""

from msgspec import structs

from exo_supervisor.core.breakers.automaton import Rules
from exo_supervisor.core.effects import Effect, PlaceModel, ReadPlacement, StartAttempt, Timers
from exo_supervisor.core.events import NodeSighted, PolicyChanged
from exo_supervisor.core.names import Address, ModelId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import Cloud, ModelRule, PeerRules, Policy
from tests.core.story import BOTH, CHAT, CLOUDS, LOCAL, M, P, Q, Story, X, word


def told(effects: list[Effect]) -> list[str]:
    """Put effects into short words, without the shift."""
    return [word(effect).partition(" /")[0] for effect in effects]


def change(story: Story, policy: Policy) -> list[str]:
    return told(story.tell(PolicyChanged(policy=policy)))


def changed(before: Policy, after: Policy, *nodes: str) -> Story:
    story = Story(before, *nodes)
    assert change(story, after) == []
    return story


def test_the_next_request_goes_by_the_new_order() -> None:
    story = changed(BOTH, structs.replace(BOTH, order=("cloud", "exo")), "a:1")
    assert told(story.ask("r")) == ["start p x"]


def test_names_are_those_of_the_new_rows() -> None:
    talk = ModelRule("talk", exo=(M,))
    story = changed(BOTH, structs.replace(BOTH, models=(talk,)), "a:1")
    assert told(story.ask("r", "talk")) == ["start a:1 m"]
    assert told(story.ask("s", "chat")) == ["refuse 404 model_not_found"]


def test_a_breaker_trips_by_the_new_rule_and_what_rests_goes_on_resting() -> None:
    story = Story(LOCAL, "a:1", "b:1")
    story.force("a:1", "open")
    change(story, structs.replace(LOCAL, rules=Rules(trip_after=1)))
    assert told(story.ask("r")) == ["start b:1 m"]
    story.fail("r", Fault.CONNECT)
    states = {key[0]: cell.state() for key, cell in story.machine.tables.breakers}
    assert states == {"a:1": "open", "b:1": "open"}


def test_the_budget_is_the_new_share() -> None:
    patient = structs.replace(LOCAL, rules=Rules(trip_after=1000))
    for share, many in ((0.2, 4), (0.5, 10)):
        story = changed(patient, structs.replace(patient, budget=share), "a:1")
        asked = [f"r{number}" for number in range(20)]
        for request in asked:
            story.ask(request)
        for request in asked:
            story.fail(request, Fault.RESET_EARLY)
        assert sum(story.waits(request) for request in asked) == many


def test_timers_are_the_new_ones_for_the_next_attempt() -> None:
    quick = {"C": PeerRules(timers=Timers(1.0, 2.0, 3.0, 4.0, 5.0))}
    story = changed(LOCAL, structs.replace(LOCAL, peers=quick), "a:1")
    (start,) = story.ask("r")
    assert isinstance(start, StartAttempt)
    assert start.timers.connect == 1.0


def test_a_node_that_has_not_answered_yet_is_judged_by_the_new_ones_when_it_does() -> None:
    story, quick = Story(LOCAL), {"C": PeerRules(timers=Timers(1.0, 2.0, 3.0, 4.0, 5.0))}
    story.tell(NodeSighted(node=Address("a:1"), url="http://a:1", source="test"))
    change(story, structs.replace(LOCAL, peers=quick))
    story.up("a:1")
    story.read("a:1", M)
    (start,) = story.ask("r")
    assert isinstance(start, StartAttempt)
    assert start.timers.connect == 1.0


def test_states_are_read_at_the_new_beat() -> None:
    story = changed(LOCAL, structs.replace(LOCAL, ready_interval=100.0), "a:1")
    story.wait(10.0)  # the alarm that stood already
    assert not [e for e in story.wait(80.0) if isinstance(e, ReadPlacement)]


def test_a_model_that_is_to_be_kept_from_now_on_is_placed() -> None:
    story = Story(LOCAL, "a:1")
    story.wait(60.0)
    story.read("a:1")
    kept = ModelRule("big", exo=(ModelId("big"),), keep=True)
    effects = story.tell(PolicyChanged(policy=structs.replace(LOCAL, models=(CHAT, kept))))
    assert [e.key for e in effects if isinstance(e, PlaceModel)] == ["big"]
    again = story.tell(PolicyChanged(policy=structs.replace(LOCAL, models=(CHAT, kept))))
    assert not [e for e in again if isinstance(e, PlaceModel)], "it is on its way already"


def test_ids_that_change_place_no_second_instance_while_the_first_may_still_appear() -> None:
    story = Story(LOCAL, "a:1")
    story.wait(60.0)
    story.read("a:1")
    kept = ModelRule("big", exo=(ModelId("big"),), keep=True)
    story.tell(PolicyChanged(policy=structs.replace(LOCAL, models=(kept,))))
    other = structs.replace(kept, exo=(ModelId("bigger"), ModelId("big")))
    effects = story.tell(PolicyChanged(policy=structs.replace(LOCAL, models=(other,))))
    assert not [e for e in effects if isinstance(e, PlaceModel)]
    row = story.machine.tables.reconciler.desired.row_of(ModelId("big"))
    assert row is not None
    assert row.models == ("bigger", "big")
    assert row.keep


def test_a_model_that_no_row_keeps_any_more_is_forgotten_in_time_but_not_at_once() -> None:
    kept = structs.replace(LOCAL, models=(structs.replace(CHAT, keep=True),))
    story = changed(kept, structs.replace(LOCAL, models=()), "a:1")
    desired = story.machine.tables.reconciler.desired
    row = desired.row_of(M)
    assert row is not None
    assert not row.is_wanted()
    rules = [ModelRule(f"m{n}", exo=(ModelId(f"m{n}"),), keep=True) for n in range(300)]
    for size in (300, 0, 300):
        change(story, structs.replace(LOCAL, models=tuple(rules[:size])))
    assert len(list(desired)) == 300


def test_a_provider_that_left_gets_nothing_more_and_its_attempt_goes_on_to_its_end() -> None:
    before = structs.replace(BOTH, order=("cloud", "exo"))
    story = Story(before, "a:1")
    assert told(story.ask("r")) == ["start p x"]
    assert told(story.ask("s")) == ["start p x"]
    assert change(story, structs.replace(before, clouds=())) == []
    story.begin("s")
    assert told(story.fail("r", Fault.CONNECT)) == ["start a:1 m"]
    story.fail("r", Fault.NONE, committed=True)
    story.fail("s", Fault.NONE, committed=True)
    assert story.idle()


def test_what_a_provider_that_left_says_of_its_key_is_no_news() -> None:
    before = structs.replace(BOTH, order=("cloud", "exo"))
    for fault in (Fault.BAD_KEY, Fault.CONTEXT_LENGTH):
        story = Story(before)
        story.ask("r")
        change(story, structs.replace(before, clouds=CLOUDS[1:]))
        assert told(story.fail("r", fault)) == ["start q x"]


def test_a_request_whose_provider_left_while_it_waited_is_told_so() -> None:
    only = Policy(order=("cloud",), clouds=CLOUDS[:1], models=(ModelRule("c", cloud=((P, X),)),))
    story = Story(only)
    story.ask("r", "c")
    assert told(story.fail("r", Fault.BUSY, retry_after=2.0)) == []
    assert change(story, structs.replace(only, clouds=())) == ["refuse 503 overloaded"]


def test_a_provider_that_moved_begins_anew_and_one_that_stayed_keeps_what_is_known() -> None:
    story = Story(structs.replace(BOTH, order=("cloud", "exo")))
    providers = story.machine.tables.clouds
    story.ask("r")
    story.fail("r", Fault.BAD_KEY)
    for target, model in (("q", None), ("q", "x"), ("p", "x")):
        story.force(target, "open", model)
    moved = Cloud(Q, "https://other.example", 1)
    stayed = structs.replace(CLOUDS[0], priority=2)
    change(story, structs.replace(BOTH, clouds=(moved, stayed)))
    assert list(providers.providers) == [Q, P]
    assert providers.providers[Q].reached is None
    assert (story.state("q"), story.state("q", "x"), story.state("p", "x")) == (
        "closed",
        "closed",
        "open",
    )
    assert providers.providers[P].has(X), "its list still holds"
    assert providers.providers[P].usable(story.now), "the key may be a new one"
    limited = structs.replace(stayed, models=(ModelId("y"),))
    change(story, structs.replace(BOTH, clouds=(limited,)))
    assert list(providers.providers[P].listed) == ["y"]


def test_privacy_that_begins_now_holds_for_a_request_that_has_come_before() -> None:
    before = structs.replace(BOTH, order=("cloud", "exo"))
    story = Story(before, "a:1")
    assert told(story.ask("r")) == ["start p x"]
    change(story, structs.replace(before, local_only=True, trust="link"))
    assert told(story.fail("r", Fault.CONNECT)) == ["start a:1 m"]


def test_a_request_that_had_left_exo_for_the_cloud_ends_there() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert told(story.fail("r", Fault.STALL)) == ["start p x"]
    change(story, structs.replace(BOTH, local_only=True))
    assert [word.split()[0] for word in told(story.fail("r", Fault.CONNECT))] == ["refuse"]


def test_not_even_what_we_had_added_is_asked_again_without_at_a_cloud() -> None:
    only = Policy(clouds=CLOUDS[:1], models=(structs.replace(CHAT, cloud=((P, X),)),))
    story = Story(only)
    assert told(story.ask("r")) == ["start p x"]
    private = structs.replace(only, models=(structs.replace(only.models[0], local_only=True),))
    change(story, private)
    assert told(story.fail("r", Fault.FIELD_REFUSED, field="stream"))[0].startswith("refuse")


def test_privacy_that_ends_now_still_holds_for_a_request_that_came_under_it() -> None:
    private = structs.replace(BOTH, local_only=True, trust="link")
    story = Story(private, "a:1")
    story.ask("r")
    change(story, BOTH)
    heard = told(story.fail("r", Fault.STALL))
    assert [word.split()[0] for word in heard] == ["refuse"]
    assert told(story.ask("s", route="cloud")) == ["start p x"]


def test_a_node_that_is_named_no_more_is_only_found() -> None:
    seeds = ((Address("a:1"), "http://a:1"),)
    story = Story(structs.replace(LOCAL, seeds=seeds))
    story.up("a:1", seeded=True)
    story.read("a:1", M)
    assert told(story.ask("r", local_only=True)) == ["start a:1 m"]
    story.begin("r")
    change(story, LOCAL)
    assert told(story.ask("s", local_only=True)) == ["refuse 503 local_only_unavailable"]
    story.fail("r", Fault.NONE, committed=True)
    change(story, structs.replace(LOCAL, trust="named"))
    assert told(story.ask("t")) == ["refuse 503 no_target"], "found nodes get no prompt at all"
    change(story, structs.replace(LOCAL, trust="link"))
    assert told(story.ask("u", local_only=True)) == ["start a:1 m"]


def test_a_model_that_was_loaded_on_demand_may_be_kept_from_now_on_and_the_other_way() -> None:
    on_demand = ModelRule("chat", exo=(M,), on_demand=True)
    kept = ModelRule("chat", exo=(M,), keep=True)
    for before, after in ((on_demand, kept), (kept, on_demand)):
        story = Story(structs.replace(LOCAL, models=(before,)))
        change(story, structs.replace(LOCAL, models=(after,)))
        row = story.machine.tables.reconciler.desired.row_of(M)
        assert row is not None
        assert row.keep is after.keep
