"""A provider that a person calls one of the house is of Exo's side, and nothing goes beyond it."""

import pytest
from msgspec import structs

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.events import PolicyChanged, ProviderListed, ProviderVetted
from exo_supervisor.core.names import ModelId, Side
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import ModelRule, Policy
from tests.core.story import BOTH, CLOUDS, M, P, Q, Story, X, refusal, told

AT_HOME = structs.replace(CLOUDS[0], local=True)
HOUSE = structs.replace(BOTH, clouds=(AT_HOME, CLOUDS[1]))
HANDED_ON = ModelId("gpt-oss:120b-cloud")


def story(policy: Policy = HOUSE, *nodes: str, housed: frozenset[ModelId] | None = None) -> Story:
    told_of = Story(policy, *nodes)
    told_of.tell(ProviderVetted(provider=P, housed=housed))
    return told_of


def test_it_comes_behind_exos_nodes_and_before_any_cloud() -> None:
    house = story(HOUSE, "a:1")
    assert told(house.ask("r")) == ["start a:1 m"]
    assert told(house.fail("r", Fault.CONNECT)) == ["start p x /attempt_failed"]
    assert told(house.fail("r", Fault.CONNECT)) == ["start q x /attempt_failed"]


def test_an_attempt_there_is_told_from_one_that_leaves_the_house() -> None:
    house = story()
    [start] = house.ask("r")
    assert isinstance(start, StartAttempt)
    assert (start.target, start.local, start.shift) == (P, True, "exo_down")
    [start] = house.fail("r", Fault.CONNECT)
    assert isinstance(start, StartAttempt)
    assert (start.target, start.local) == (Q, False)


@pytest.mark.parametrize("order", [("exo", "cloud"), ("cloud", "exo"), ("exo",)])
def test_what_must_stay_is_served_there_and_goes_nowhere_else(
    order: tuple[Side, ...],
) -> None:
    house = story(structs.replace(HOUSE, order=order))
    assert told(house.ask("r", local_only=True))[0].startswith("start p x")
    assert refusal(house.fail("r", Fault.CONNECT)).status in {502, 503}


def test_a_house_that_nothing_may_leave_is_served_there() -> None:
    house = story(structs.replace(HOUSE, local_only=True))
    assert told(house.ask("r")) == ["start p x /exo_down"]
    house.succeed("r")
    assert house.machine.tables.can_serve(house.now)
    assert not house.machine.tables.cloud_stands_by(house.now)


def test_embeddings_that_must_stay_are_served_there() -> None:
    house = story(HOUSE, "a:1")
    went = told(house.ask("r", local_only=True, demands=("embeddings",)))
    assert went == ["start p x /model_not_ready"]


def test_the_client_that_asks_for_exo_gets_it() -> None:
    house = story()
    assert told(house.ask("r", route="exo"))[0].startswith("start p x")
    assert told(house.ask("s", route="cloud"))[0].startswith("start q x")


def test_between_exo_and_the_house_no_traffic_shifts() -> None:
    house = story()
    house.names()
    house.ask("r")
    house.succeed("r")
    assert "traffic_shifted" not in house.names()


@pytest.mark.parametrize(
    ("model", "housed", "goes"),
    [
        (X, None, True),
        (X, frozenset({X}), True),
        (X, frozenset({ModelId("x:latest")}), True),
        (X, frozenset({ModelId("y")}), False),
        (X, frozenset[ModelId](), False),
        (HANDED_ON, None, False),
        (HANDED_ON, frozenset({HANDED_ON}), False),
        (ModelId("Big:CLOUD"), None, False),
    ],
)
def test_a_model_that_it_hands_on_is_not_of_the_house(
    *, model: ModelId, housed: frozenset[ModelId] | None, goes: bool
) -> None:
    row = ModelRule("chat", cloud=((P, model),))
    house = story(structs.replace(HOUSE, models=(row,)), housed=housed)
    went = told(house.ask("r", local_only=True))
    assert went == ([f"start p {model}"] if goes else ["refuse 503 local_only_unavailable"])
    open_to_all = told(house.ask("s"))
    assert open_to_all[0].startswith("start p") == goes, "not even with what may leave"


def test_before_it_has_told_what_it_hands_on_it_is_asked_for_nothing() -> None:
    house = Story(HOUSE)
    assert told(house.ask("r")) == ["start q x /exo_down"]
    house.tell(ProviderVetted(provider=P, housed=None))
    assert told(house.ask("s"))[0].startswith("start p x")


def test_of_its_list_only_what_it_serves_itself_is_known() -> None:
    house = story(housed=frozenset({M}))
    house.tell(ProviderListed(provider=P, models=(M, HANDED_ON, ModelId("alias"))))
    assert list(house.machine.tables.clouds.providers[P].listed) == [M]


def test_one_that_is_of_the_house_no_more_gets_nothing_that_must_stay() -> None:
    house = story()
    house.ask("r", local_only=True)
    house.tell(PolicyChanged(policy=BOTH))
    house.fail("r", Fault.SERVER_ERROR)
    assert told(house.wait(1.0)) == [] or not house.waits("r")
    assert refusal(house.ask("s", local_only=True)).code in {"privacy", "local_only_unavailable"}
