"""Embeddings and completions go to who serves them, which no Exo does."""

import pytest

from exo_supervisor.core.effects import Refuse, StartAttempt
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import Cloud, ModelRule, Policy
from tests.core.story import CHAT, CLOUDS, LOCAL, M, P, Q, Story, X

KINDS = ["embeddings", "completions"]


def ask(
    story: Story, kind: str, model: str = "chat", *, local_only: bool = False
) -> StartAttempt | Refuse:
    told = story.ask("r", model, native=(kind,), dialect="openai", local_only=local_only)
    (effect,) = told
    assert isinstance(effect, StartAttempt | Refuse)
    return effect


@pytest.mark.parametrize("kind", KINDS)
def test_a_provider_is_asked_though_exo_comes_first(kind: str) -> None:
    story = Story(Policy(clouds=CLOUDS, models=(CHAT,)), "n1")
    start = ask(story, kind)
    assert isinstance(start, StartAttempt)
    assert (start.target, start.shift) == (P, "unsupported_field")
    story.succeed("r")
    assert "traffic_shifted" not in story.names()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["chat", M, "nowhere"])
def test_where_only_exo_has_a_model_the_client_is_told_who_serves(kind: str, model: str) -> None:
    told = ask(Story(LOCAL, "n1"), kind, model)
    assert isinstance(told, Refuse)
    assert told.refusal.status == (404 if model == "nowhere" else 400)
    assert f"Exo serves no {kind}: a provider of your own does" in told.refusal.message
    assert told.refusal.param == "model"


def test_no_model_is_placed_for_what_exo_does_not_serve() -> None:
    rule = ModelRule("chat", exo=(M,), cloud=((P, X),), on_demand=True)
    story = Story(Policy(clouds=CLOUDS, models=(rule,)))
    row = story.machine.tables.reconciler.desired.row_of(M)
    assert row is not None
    assert isinstance(ask(story, "embeddings"), StartAttempt)
    assert row.wanted is False
    story.ask("chat", "chat")
    assert row.wanted is True  # a chat has it placed


def test_what_must_stay_in_the_house_is_not_embedded_elsewhere() -> None:
    told = ask(Story(Policy(clouds=CLOUDS, models=(CHAT,)), "n1"), "embeddings", local_only=True)
    assert isinstance(told, Refuse)
    assert (told.refusal.status, told.refusal.code) == (400, "unsupported_field")


def test_a_provider_of_another_dialect_is_passed_over() -> None:
    cloud = Cloud(P, "https://p.example", dialect="anthropic")
    rule = ModelRule("chat", cloud=((P, X),))
    told = ask(Story(Policy(clouds=(cloud,), models=(rule,))), "embeddings")
    assert isinstance(told, Refuse)
    assert (told.refusal.status, told.refusal.code) == (400, "unsupported_field")
    assert "serves embeddings" in told.refusal.message


@pytest.mark.parametrize("own", [True, False])
def test_vectors_of_another_row_stand_in_for_none(own: bool) -> None:  # noqa: FBT001 - a row
    """Another model's vectors mean something else; a row of nothing but others is its first."""
    rule = ModelRule("chat", cloud=((P, X),) if own else (), fallback=("near", "far"))
    near, far = ModelRule("near", cloud=((P, X),)), ModelRule("far", cloud=((Q, X),))
    story = Story(Policy(clouds=CLOUDS, models=(rule, near, far)))
    start = ask(story, "embeddings")
    assert isinstance(start, StartAttempt)
    assert start.target == P
    (end,) = story.fail("r", Fault.MALFORMED)
    assert isinstance(end, Refuse)
    assert end.refusal.status == 502


def test_vectors_are_never_asked_for_as_a_stream_and_fail_over_within_the_row() -> None:
    """A head that comes with the whole answer has all its time: there is no first content."""
    story = Story(Policy(clouds=CLOUDS, models=(CHAT,)))
    start = ask(story, "embeddings")
    assert isinstance(start, StartAttempt)
    assert (start.streamed, start.usage, start.timers.headers) == (False, False, None)
    (other,) = story.fail("r", Fault.MALFORMED)
    assert isinstance(other, StartAttempt)
    assert (other.target, other.model) == ("q", X)
    (end,) = story.fail("r", Fault.MALFORMED)
    assert isinstance(end, Refuse)
    completing = Story(Policy(clouds=CLOUDS, models=(CHAT,)))
    assert getattr(ask(completing, "completions"), "streamed", None) is True
