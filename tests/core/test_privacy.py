"""What must not leave this network never starts at a provider."""

from itertools import product

import pytest
from msgspec import structs

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.names import ModelId, ProviderName, Side
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import Cloud, ModelRule, Policy
from tests.core.story import BOTH, CHAT, Story, told

BY_MODEL = structs.replace(BOTH, models=(structs.replace(CHAT, local_only=True),))
BY_POLICY = structs.replace(BOTH, local_only=True)
WAYS = [
    pytest.param(BOTH, True, id="by header"),
    pytest.param(BY_MODEL, False, id="by model"),
    pytest.param(BY_POLICY, False, id="by policy"),
]


@pytest.mark.parametrize(("policy", "header"), WAYS)
@pytest.mark.parametrize("order", [("exo", "cloud"), ("cloud", "exo")])
def test_it_stays_at_exo_whatever_happens(
    policy: Policy,
    header: bool,  # noqa: FBT001 - a table's column
    order: tuple[Side, Side],
) -> None:
    story = Story(structs.replace(policy, order=order, trust="link"), "a:1", "b:1")
    heard = told(story.ask("r", local_only=header))
    for fault in (Fault.CONNECT, Fault.RESET_EARLY):
        heard += told(story.fail("r", fault))
    heard += told(story.wait(1.0))
    heard += told(story.fail("r", Fault.CONNECT))
    assert [word.split()[0] for word in heard] == ["start", "start", "start", "refuse"]
    assert all(word.split()[1] in ("a:1", "b:1", "502") for word in heard)


@pytest.mark.parametrize(("policy", "header"), [*WAYS, pytest.param(BOTH, False, id="open")])
def test_an_attempt_says_whether_anything_of_it_may_leave_the_house(
    policy: Policy,
    header: bool,  # noqa: FBT001 - a table's column
) -> None:
    story = Story(structs.replace(policy, trust="link"), "a:1")
    (start,) = (e for e in story.ask("r", local_only=header) if isinstance(e, StartAttempt))
    assert start.private is (header or policy != BOTH)


@pytest.mark.parametrize(("policy", "header"), WAYS)
def test_its_own_error_when_exo_cannot(
    policy: Policy,
    header: bool,  # noqa: FBT001 - a table's column
) -> None:
    story = Story(policy)
    assert told(story.ask("r", local_only=header)) == ["refuse 503 local_only_unavailable"]
    assert told(story.ask("s", route="exo", local_only=header)) == [
        "refuse 503 local_only_unavailable"
    ]


@pytest.mark.parametrize(("policy", "header"), WAYS)
def test_a_wish_for_the_cloud_is_refused(
    policy: Policy,
    header: bool,  # noqa: FBT001 - a table's column
) -> None:
    story = Story(policy, "a:1")
    assert told(story.ask("r", route="cloud", local_only=header)) == ["refuse 403 privacy"]
    assert story.idle()


@pytest.mark.parametrize("name", ["p/x", "x"])
def test_a_model_that_only_a_cloud_has_is_refused(name: str) -> None:
    story = Story(BOTH, "a:1")
    assert told(story.ask("r", name, local_only=True)) == ["refuse 403 privacy"]
    assert told(Story(BY_POLICY, "a:1").ask("r", name)) == ["refuse 403 privacy"]
    assert told(story.ask("s", name)) == ["start p x"]


def test_an_open_breaker_at_home_is_no_excuse_to_panic_abroad() -> None:
    story = Story(BY_MODEL, "a:1")
    story.force("a:1", "open")
    assert told(story.ask("r")) == ["refuse 503 local_only_unavailable"]


KEPT = [
    pytest.param("x*", (), id="its beginning"),
    pytest.param("*", (), id="everything"),
    pytest.param("p/x*", (), id="with the provider's name"),
    pytest.param("home", ("*x",), id="a pattern among the aliases"),
    pytest.param("x", (), id="no pattern"),
    pytest.param("home", ("x",), id="an alias"),
]


@pytest.mark.parametrize(("name", "aliases"), KEPT)
def test_what_a_row_keeps_by_its_name_stays_whoever_lists_it(
    name: str, aliases: tuple[str, ...]
) -> None:
    """A cloud that lists what the row names is not asked for it, under its PROVIDER/ID either."""
    keeps = ModelRule(name, exo=(ModelId("nope"),), aliases=aliases, local_only=True)
    wide = ModelRule("*x*", cloud=((ProviderName("p"), ModelId("x")),))  # longer, and not private
    clouds = (Cloud(ProviderName("p"), "https://p.example", 1),)
    refusals = {"refuse 403 privacy", "refuse 503 local_only_unavailable"}
    for rules, header, asked in product([(keeps,), (keeps, wide)], (False, True), ("x", "p/x")):
        story = Story(Policy(clouds=clouds, models=rules), "a:1")
        for route in (None, "cloud", "exo"):
            heard = told(story.ask(f"r-{route}", asked, local_only=header, route=route))
            assert set(heard) <= refusals, (asked, route)
            assert heard
        assert story.idle()
    own = Story(Policy(clouds=clouds, models=(keeps, ModelRule("mine", cloud=wide.cloud))), "a:1")
    assert told(own.ask("r", "mine")) == ["start p x"], "a row's own name is another's"


def test_what_a_cloud_lists_is_served_at_home_by_the_pattern_that_keeps_it() -> None:
    """Hostile finding: it was 403 even where the row's own Exo could serve it."""
    cloud = Cloud(ProviderName("p"), "https://p.example", 1, models=(ModelId("x-1"),))
    keeps = ModelRule("x-*", exo=(ModelId("m"),), local_only=True)
    story = Story(Policy(clouds=(cloud,), models=(keeps,), trust="link"), "a:1")
    assert told(story.ask("r", "x-1")) == ["start a:1 m"]
    assert told(story.ask("s", "p/x-1")) == ["refuse 403 privacy"], "p itself was asked for"


def test_a_longer_pattern_does_not_lead_out_what_a_shorter_one_keeps() -> None:
    abroad = ((ProviderName("p"), ModelId("y")),)
    rules = (ModelRule("s*", local_only=True), ModelRule("s-open*", cloud=abroad))
    for order in (rules, rules[::-1]):
        story = Story(structs.replace(BOTH, models=order), "a:1")
        assert told(story.ask("r", "s-open-1")) == ["refuse 403 privacy"]
    assert told(Story(structs.replace(BOTH, models=rules[1:])).ask("r", "s-open-1")) == [
        "start p y"
    ]


def test_a_pattern_for_what_a_provider_may_not_be_asked_leads_nothing_out_either() -> None:
    x, y = ModelId("x"), ModelId("y")
    cloud = Cloud(ProviderName("p"), "https://p.example", 1, models=(y,))
    abroad = ModelRule("p/*", cloud=((cloud.name, y),))
    rules = (abroad, ModelRule("x*", exo=(x,), local_only=True))
    story = Story(Policy(clouds=(cloud,), models=rules), "a:1")
    assert told(story.ask("r", "p/x-1")) == ["refuse 403 privacy"]
    assert told(story.ask("s", "p/z")) == ["start p y"]
