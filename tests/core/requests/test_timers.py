"""An attempt gets the timers of its target, and more where its request gives a reason."""

import pytest
from msgspec import structs

from exo_supervisor.core.effects import StartAttempt, Timers
from exo_supervisor.core.policy import NEW_LIMIT, NO_STREAM_OPTIONS, Cloud
from tests.core.story import BOTH, P, Story

OWN = Timers(connect=10.0, headers=8.0, first_content=120.0, first_content_max=120.0, stall=60.0)
PATIENT = structs.replace(OWN, stall=500.0)


@pytest.mark.parametrize(
    ("timers", "demands", "stall"),
    [
        pytest.param(OWN, (), 60.0, id="its own"),
        pytest.param(OWN, ("response_format",), 60.0, id="no tools"),
        pytest.param(OWN, ("tools", "response_format"), 120.0, id="a call may be written"),
        pytest.param(OWN, ("functions",), 120.0, id="the older way to ask for one"),
        pytest.param(PATIENT, ("tools",), 500.0, id="never less than its own"),
    ],
)
def test_a_cloud_has_longer_between_two_pieces_while_a_call_may_be_written(
    timers: Timers, demands: tuple[str, ...], stall: float
) -> None:
    story = Story(structs.replace(BOTH, clouds=(Cloud(P, "https://p.example", timers=timers),)))
    [start] = story.ask("r", demands=demands)
    assert isinstance(start, StartAttempt)
    assert start.timers == structs.replace(timers, stall=stall)


@pytest.mark.parametrize(
    ("quirks", "usage"),
    [
        pytest.param(frozenset[str](), True, id="none"),
        pytest.param(frozenset({NEW_LIMIT}), True, id="of its limits"),
        pytest.param(frozenset({NO_STREAM_OPTIONS}), False, id="of its usage"),
    ],
)
def test_what_a_cloud_is_known_not_to_take_is_not_asked_of_it(
    quirks: frozenset[str], *, usage: bool
) -> None:
    cloud = Cloud(P, "https://p.example", quirks=quirks)
    [start] = Story(structs.replace(BOTH, clouds=(cloud,))).ask("r")
    assert isinstance(start, StartAttempt)
    assert (start.without - {"stream_options"}, start.streamed, start.usage) == (
        quirks - {"stream_options"},
        True,
        usage,
    )
