"""Who says that nothing is left is left alone before it has to refuse anybody."""

import pytest
from msgspec import structs

from exo_supervisor.core.estimate import MOST_EXPECTED
from exo_supervisor.core.load.allowance import Allowance, spent_for
from tests.core.story import BOTH, CLOUDS, Story, told

CLOUD = structs.replace(BOTH, order=("cloud",))
TWO_KEYS = structs.replace(CLOUD, clouds=(structs.replace(CLOUDS[0], keys=2), CLOUDS[1]))
NO_REQUEST = Allowance("requests", 0, 60.0)


@pytest.mark.parametrize(
    ("allowances", "others", "size", "seconds"),
    [
        ((), 9, 9000, 0.0),
        ((NO_REQUEST,), 0, 0, 60.0),
        ((Allowance("requests", 1, 60.0),), 0, 0, 0.0),
        ((Allowance("requests", 1, 60.0),), 1, 0, 0.0),
        ((Allowance("requests", 1, 60.0),), 2, 0, 60.0),
        ((Allowance("tokens", 0, 5.0),), 0, 0, 5.0),
        ((Allowance("tokens", 1000, 5.0),), 0, 4000, 0.0),
        ((Allowance("tokens", 999, 5.0),), 0, 4000, 5.0),
        ((Allowance("tokens", MOST_EXPECTED, 5.0),), 0, 10**8, 0.0),
        ((NO_REQUEST, Allowance("tokens", 0, 90.0)), 0, 0, 90.0),
    ],
)
def test_when_nothing_is_left(
    allowances: tuple[Allowance, ...], others: int, size: int, seconds: float
) -> None:
    assert spent_for(allowances, others, size) == seconds


def test_traffic_shifts_before_anybody_is_refused_and_comes_back_at_the_reset() -> None:
    story = Story(CLOUD)
    story.ask("r")
    story.begin("r", allowances=(NO_REQUEST,))
    assert told(story.ask("s")) == ["start q x /busy"]
    story.succeed("s")
    story.wait(50.0)
    assert told(story.ask("t")) == ["start q x /busy"]
    story.wait(10.0)
    assert told(story.ask("u")) == ["start p x"]


def test_it_is_the_key_that_has_nothing_left() -> None:
    story = Story(TWO_KEYS)
    story.ask("r")
    story.begin("r", allowances=(NO_REQUEST,))
    assert told(story.ask("s")) == ["start p x #2"]
    story.begin("s", allowances=(NO_REQUEST,))
    assert told(story.ask("t")) == ["start q x /busy"]


def test_requests_under_way_need_what_is_left() -> None:
    story = Story(CLOUD)
    for request in "abc":
        story.ask(request)
    story.begin("a", allowances=(Allowance("requests", 1, 60.0),))
    assert told(story.ask("d")) == ["start q x /busy"]


def test_who_has_as_many_left_as_are_under_way_beside_one_is_asked_again() -> None:
    story = Story(CLOUD)
    for request in "abc":
        story.ask(request)
    story.begin("a", allowances=(Allowance("requests", 2, 60.0),))
    assert told(story.ask("d")) == ["start p x"]


def test_who_has_some_left_is_asked_again() -> None:
    story = Story(CLOUD)
    story.ask("r")
    story.begin("r", allowances=(Allowance("requests", 5, 60.0),))
    assert told(story.ask("s")) == ["start p x"]


def test_a_lie_costs_no_more_than_a_try_each_minute() -> None:
    """Where all are marked, one request goes out now and then; what it brings lifts the mark."""
    story = Story(structs.replace(CLOUD, clouds=CLOUDS[:1]))
    story.ask("r")
    story.begin("r", allowances=(Allowance("requests", 0, 3600.0),))
    assert told(story.ask("s")) == ["refuse 503 overloaded"]
    story.wait(60.0)
    assert told(story.ask("t")) == ["start p x /busy"]
    story.begin("t")
    assert told(story.ask("u")) == ["start p x"]
