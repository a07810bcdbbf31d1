"""A client gets what its rule, its rows and its request allow together: the strictest holds."""

import pytest
from msgspec import structs

from exo_supervisor.core.events import PolicyChanged, RequestArrived, RequestEnded, Ticked
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import ModelId, RequestId, Side
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import ClientRule, ModelRule, Policy
from exo_supervisor.core.requests.clients import names_others
from tests.core.story import BOTH, CHAT, P, Story, X, refusal, told


def policy(*clients: ClientRule, models: tuple[ModelRule, ...] = (CHAT,)) -> Policy:
    return structs.replace(BOTH, clients=clients, models=models)


HOME, ABROAD = ClientRule("k", route="exo"), ClientRule("k", route="cloud")
KEPT = ClientRule("k", local_only=True)

TABLE = [
    # the rule, the request's header of route, whether it says local_only, and what comes
    (HOME, None, False, "start a:1 m"),
    (HOME, "exo", False, "start a:1 m"),
    (HOME, "cloud", False, "refuse 403 not_allowed"),
    (ABROAD, None, False, "start p x /route"),
    (ABROAD, "cloud", False, "start p x /route"),
    (ABROAD, "exo", False, "refuse 403 not_allowed"),
    (ABROAD, None, True, "refuse 403 privacy"),
    (KEPT, None, False, "start a:1 m"),
    (KEPT, "exo", True, "start a:1 m"),
    (KEPT, "cloud", False, "refuse 403 privacy"),
    (ClientRule("other", local_only=True), "cloud", False, "start p x /route"),
]


@pytest.mark.parametrize(("rule", "route", "local_only", "comes"), TABLE)
def test_a_header_only_narrows_a_rule(
    rule: ClientRule,
    route: Side | None,
    local_only: bool,  # noqa: FBT001 - a table's column
    comes: str,
) -> None:
    story = Story(structs.replace(policy(rule), trust="link"), "a:1")
    effects = story.ask("r", client="k", route=route, local_only=local_only)
    assert told(effects) == [comes]


def test_what_a_rule_keeps_in_the_house_never_starts_at_a_provider() -> None:
    story = Story(structs.replace(policy(KEPT), trust="link"), "a:1")
    heard = told(story.ask("r", client="k"))
    for fault in (Fault.CONNECT, Fault.CONNECT, Fault.CONNECT):
        heard += told(story.fail("r", fault)) + told(story.wait(1.0))
    assert {word.split()[0] for word in heard} == {"start", "refuse"}
    assert all("start p" not in word and "start q" not in word for word in heard)


def test_a_rule_that_comes_while_a_request_waits_holds_for_it() -> None:
    story = Story(structs.replace(policy(), patience=30.0, trust="link"), "a:1")
    assert told(story.ask("r", client="k")) == ["start a:1 m"]
    peers = story.machine.tables.policy.peers
    story.tell(PolicyChanged(policy=structs.replace(policy(KEPT), peers=peers)))
    assert "start p x" not in " ".join(told(story.fail("r", Fault.CONNECT)) + told(story.wait(5.0)))


ROWS = (
    ModelRule("big", cloud=((P, X),)),
    ModelRule("small", exo=(ModelId("m"),), aliases=("fast",), any_of=("big",)),
    ModelRule("net", exo=(ModelId("n"),), fallback=("big",)),
    ModelRule("gpt-*", cloud=((P, X),)),
)
MAY = [
    # the patterns, the name asked for, what comes
    (("small",), "small", "start a:1 m"),
    (("small",), "fast", "start a:1 m"),
    (("fast",), "fast", "start a:1 m"),
    (("fast",), "small", "refuse 403 not_allowed"),
    (("s*",), "small", "start a:1 m"),
    (("s*",), "big", "refuse 403 not_allowed"),
    (("small",), "m", "refuse 403 not_allowed"),
    (("small",), "p/x", "refuse 403 not_allowed"),
    (("small",), "nowhere", "refuse 403 not_allowed"),
    (("no*",), "nowhere", "refuse 404 model_not_found"),
    (("m",), "m", "start a:1 m"),
    (("net",), "net", "refuse 503 no_target"),
    (("net", "big"), "net", "start p x /model_not_ready"),
    (("gpt-*",), "gpt-9", "start p x"),
    (("gpt-9",), "gpt-9", "start p x"),
    (("gpt-8",), "gpt-9", "refuse 403 not_allowed"),
]


@pytest.mark.parametrize(("models", "name", "comes"), MAY)
def test_a_client_asks_for_its_own_models_and_what_stands_in_for_them(
    models: tuple[str, ...], name: str, comes: str
) -> None:
    story = Story(policy(ClientRule("k", models=models), models=ROWS), "a:1")
    assert told(story.ask("r", name, client="k")) == [comes]
    assert told(story.ask("s", name, client="else"))[0].split()[1] != "403"


@pytest.mark.parametrize(
    ("models", "comes"),
    [(("small",), "refuse 502 attempts_failed"), ((), "start p x /attempt_failed")],
)
def test_a_row_that_is_as_good_stands_in_only_where_the_client_may_ask_for_it(
    models: tuple[str, ...], comes: str
) -> None:
    story = Story(policy(ClientRule("k", models=models), models=ROWS), "a:1")
    assert told(story.ask("r", "small", client="k")) == ["start a:1 m"]
    assert told(story.fail("r", Fault.STALL)) == [comes]


def test_a_client_is_shown_the_names_that_it_may_ask_for() -> None:
    story = Story(policy(models=ROWS), "a:1")
    catalog = story.machine.catalog
    assert set(catalog.names(("small",))) == {"small", "fast"}
    assert set(catalog.names()) >= {"small", "fast", "big", "net", "m"}
    assert catalog.lookup_within("small", ("small",)) == catalog.lookup_within("fast", ("small",))


def test_a_private_row_keeps_what_a_client_may_ask_for_by_its_name() -> None:
    rows = (ModelRule("small", cloud=((P, X),), local_only=True), ModelRule("s*", cloud=((P, X),)))
    story = Story(policy(ClientRule("k", models=("s*",)), models=rows))
    assert told(story.ask("r", "small", client="k")) == ["refuse 403 privacy"]
    assert told(story.ask("s", "sm", client="k")) == ["start p x"]


def test_an_error_names_no_model_that_is_not_the_clients_own() -> None:
    story = Story(policy(ClientRule("k", models=("sma*",)), models=ROWS), "a:1")
    text = refusal(story.ask("r", "smal", client="k")).message
    assert "small" in text
    text = refusal(story.ask("s", "smaller-big", client="k")).message
    assert "'big'" not in text
    assert " big" not in text


def test_a_rate_refuses_with_the_time_to_wait_and_counts_what_was_used() -> None:
    rule = ClientRule("k", requests=3, tokens=100)
    story = Story(structs.replace(policy(rule), trust="link"), "a:1")
    assert told(story.ask("r", client="k", size=40)) == ["start a:1 m"]
    story.begin("r")
    story.fail("r", Fault.NONE, committed=True, tokens=95)
    refused = refusal(story.ask("s", client="k", size=40))
    assert (refused.status, refused.code, refused.retry_after) == (429, "rate_limited", 61.0)
    assert told(story.ask("t", client="else", size=4000)) == ["start a:1 m"]
    story.wait(61.0)
    assert told(story.ask("u", client="k", size=40)) == ["start a:1 m"]


def test_whoever_leaves_early_has_used_what_came() -> None:
    story = Story(structs.replace(policy(ClientRule("k", tokens=100)), trust="link"), "a:1")
    story.ask("r", client="k", size=4)
    story.tell(RequestEnded(request=RequestId("r"), tokens=200))
    assert told(story.ask("s", client="k", size=4)) == ["refuse 429 rate_limited"]


def test_a_request_for_which_nobody_was_asked_takes_no_tokens() -> None:
    story = Story(policy(ClientRule("k", tokens=100)), "a:1")
    asked = [told(story.ask(name, name, client="k", size=396)) for name in ("nowhere", "chat")]
    assert asked == [["refuse 404 model_not_found"], ["start a:1 m"]]


def test_what_waits_for_the_first_look_is_counted_once() -> None:
    machine = Machine(policy(ClientRule("k", requests=1)), 0.0)
    ask = RequestArrived(request=RequestId("r"), model="chat", deadline=900.0, draw=0.0, client="k")
    assert machine.handle(ask, 0.0) == [], "it waits"
    look = machine.deadline()
    assert look is not None
    effects = machine.handle(Ticked(), look)
    assert "start p x /exo_down" in told(effects), "and is not over its rate"


def test_a_broker_may_choose_others_for_whoever_may_ask_for_all() -> None:
    """OpenRouter goes on to `models` where `model` fails, and a client can see to that."""
    held = names_others(ClientRule("k", models=("m",)), ("messages", "models"))
    assert held is not None
    assert (held.status, held.code, held.param) == (403, "not_allowed", "models")
    assert names_others(ClientRule("k", models=("m",)), ("messages", "model")) is None
    assert names_others(ClientRule("k"), ("models",)) is None
