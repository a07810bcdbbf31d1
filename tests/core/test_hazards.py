"""Who would die of a request is never asked: another takes it, or its client is told."""

import pytest
from msgspec import structs

from exo_supervisor.core.names import Generation
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import ANY_PEER
from tests.core.story import BOTH, LOCAL, Story, refusal, told


@pytest.mark.parametrize("generation", ["B", "C"])
def test_a_cloud_takes_what_an_exo_would_die_of(generation: Generation) -> None:
    story = Story(BOTH, "a:1", "b:1", generation=generation)
    assert told(story.ask("r", hazards={"seed": "too_wide"})) == ["start p x /unsupported_field"]
    again = told(story.fail("r", Fault.TLS))
    assert again == ["start q x /unsupported_field"], "a failover leads to no Exo either"


def test_where_there_is_no_other_the_client_is_told_which_field_it_was() -> None:
    story = Story(LOCAL, "a:1")
    refused = refusal(story.ask("r", hazards={"seed": "too_wide", "min_p": "outside_0_1"}))
    assert (refused.status, refused.code, refused.param) == (400, "unsupported_field", "min_p")
    assert "min_p, seed" in refused.message
    assert story.idle()


def test_a_generation_that_survives_it_is_asked() -> None:
    story = Story(LOCAL, "a:1", generation="A")
    assert told(story.ask("r", hazards={"messages": "no_content"})) == ["start a:1 m"]


def test_a_value_that_ends_nobody_we_know_of_keeps_nobody_from_being_asked() -> None:
    story = Story(structs.replace(LOCAL, peers={"C": ANY_PEER}), "a:1")
    assert told(story.ask("r", hazards={"messages": "no_content"})) == ["start a:1 m"]
