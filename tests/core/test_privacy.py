"""What must not leave this network never starts at a provider."""

import pytest
from msgspec import structs

from exo_supervisor.core.names import Side
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import Policy
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
