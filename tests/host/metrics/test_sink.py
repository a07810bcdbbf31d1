"""The sink counts what records and announcements say, once."""

from typing import cast

import pytest
from msgspec import structs

from exo_supervisor.core.effects import say
from exo_supervisor.core.names import ProviderName
from exo_supervisor.core.policy import Cloud, ModelRule, Policy
from exo_supervisor.host.metrics.sink import MetricsSink
from exo_supervisor.views.request_done import AttemptDone, RequestDone, RequestLine

NODE = "192.168.1.5:52415"


def a_sink(*names: str) -> MetricsSink:
    policy = Policy(models=tuple(ModelRule(name) for name in names))
    return MetricsSink(lambda: policy)


def a_record(*, attempt: bool = True, **more: object) -> RequestDone:
    line = RequestLine(
        "r", model="house", target=NODE, attempts=2, status=200, outcome="success", ttft=0.5,
        duration=2.5, prompt_tokens=10, completion_tokens=5, cached_tokens=4,
    )  # fmt: skip
    for name, value in more.items():
        setattr(line, name, value)
    failed = AttemptDone(
        "openrouter", "m", None, None, 0.25, 0.5, 0.1, None, "stall", 200, "", 10, 1,
    )  # fmt: skip
    served = AttemptDone(NODE, "m", "m", None, 0.5, 2.5, 0.1, 0.2, "none", 200, "", 10, 5, 4)
    paid = structs.replace(failed, cost=2_500_000)
    return RequestDone(line, [paid, served] if attempt else [])


def test_an_answer_counts_in_every_figure() -> None:
    """A failed attempt's tokens count where they were made."""
    sink = a_sink("house")
    sink.done(a_record())
    where, there = ("house", "exo"), ("house", "cloud")
    assert sink.families.requests.sums == {("openai", "default", *where, "success"): 1}
    assert sink.families.attempts.sums == {there: 1, where: 1}
    assert sink.families.failed.sums == {("cloud", "stall"): 1}
    assert sink.families.prompt.sums == {there: 10, where: 10}
    assert sink.families.generated.sums == {there: 1, where: 5}
    assert sink.families.cached.sums == {where: 4}
    assert sink.families.spent.sums == {("openrouter",): 2.5}
    timed = sink.families.first, sink.families.queued, sink.families.duration
    assert [figure.cells[where].total for figure in timed] == [0.5, 0.25, 2.5]
    assert (
        sink.families.between.cells[where].total == 0.5
    )  # 2 s for the four tokens after the first
    assert not sink.families.errors.sums


def test_an_error_has_its_code_and_no_latency() -> None:
    sink = a_sink("house")
    sink.done(a_record(attempt=False, target=None, ttft=None, code="no_target"))
    assert sink.families.errors.sums == {("no_target",): 1}
    assert list(sink.families.duration.cells) == [("house", "none")]
    assert not sink.families.first.cells
    assert not sink.families.attempts.sums


def test_one_token_has_no_time_between_tokens() -> None:
    sink = a_sink("house")
    sink.done(a_record(completion_tokens=1))
    assert not sink.families.between.cells


@pytest.mark.parametrize("model", ["somebody-invented-this", None])
def test_a_name_that_no_row_has_is_no_label(model: str | None) -> None:
    sink = a_sink("house")
    sink.done(a_record(model=model))
    assert list(sink.families.duration.cells) == [("other", "exo")]


def test_names_are_those_of_the_policy_that_holds() -> None:
    policies = [Policy(), Policy(models=(ModelRule("house"),))]
    sink = MetricsSink(lambda: policies[0])
    sink.done(a_record())
    policies.pop(0)
    sink.done(a_record())
    assert list(sink.families.duration.cells) == [("other", "exo"), ("house", "exo")]


def test_what_is_announced_is_counted_by_its_own_words() -> None:
    sink = a_sink()
    sink.announce(say("info", "node_up", node=NODE))
    moved = {"from": "exo", "to": "cloud", "reason": "breaker_open"}
    sink.announce(say("warning", "traffic_shifted", **moved))
    for name in ("breaker_opened", "breaker_half_opened", "breaker_closed"):
        sink.announce(say("info", name, target=NODE))
    assert sink.families.shifts.sums == {("exo", "cloud", "breaker_open"): 1}
    assert sink.families.transitions.sums == {
        ("exo", to): 1 for to in ("open", "half_open", "closed")
    }
    assert sink.families.events.sums["node_up", "info"] == 1


def test_an_attempt_whose_client_left_is_no_failure() -> None:
    sink = a_sink("house")
    record = a_record(outcome="abandoned")
    sink.done(
        structs.replace(record, tried=[structs.replace(record.tried[1], fault="client_left")])
    )
    assert sink.families.attempts.sums == {("house", "exo"): 1}
    assert not sink.families.failed.sums


def test_overhead_is_what_no_target_was_at_work_on() -> None:
    """Of 2.5 s the two attempts took 0.25 and 2; more than all of it is none."""
    sink = a_sink("house")
    sink.done(a_record())
    sink.done(a_record(duration=2.0))
    assert sink.families.overhead.cells["exo",].total == 0.25


def test_what_left_the_house_counts_by_where_it_went() -> None:
    sink = a_sink("house")
    record = a_record()
    for provider, size in (("openrouter", 700), ("openrouter", 300), ("groq", 50)):
        record.line.leave(provider, size)
    sink.done(record)
    assert sink.families.left.sums == {("openrouter",): 1, ("groq",): 1}
    assert sink.families.sent.sums == {("openrouter",): 1000, ("groq",): 50}


def test_what_exo_saved_counts_by_the_model_that_was_asked_for() -> None:
    sink = a_sink("house")
    record = a_record()
    served = structs.replace(record.tried[1], saved=3_500_000)
    sink.done(structs.replace(record, tried=[record.tried[0], served]))
    assert sink.families.saved.sums == {("house",): 3.5}


def test_a_breaker_of_a_provider_of_the_house_turns_on_exo_s_side() -> None:
    clouds = (Cloud(ProviderName("near"), "http://127.0.0.1:1", local=True),)
    clouds += (Cloud(ProviderName("far"), "https://far.example"),)
    sink = MetricsSink(lambda: Policy(clouds=clouds))
    for target in ("near", "far"):
        sink.announce(say("warning", "breaker_opened", target=target))
    assert sink.families.transitions.sums == {("exo", "open"): 1, ("cloud", "open"): 1}


def test_a_provider_of_the_house_counts_on_exo_s_side() -> None:
    sink = a_sink("house")
    record = a_record(target="near", local=True)
    near = structs.replace(record.tried[1], target="near", local=True)
    sink.done(structs.replace(record, tried=[near]))
    assert sink.families.attempts.sums == {("house", "exo"): 1}
    assert sink.families.requests.sums == {("openai", "default", "house", "exo", "success"): 1}


def test_a_fault_in_counting_costs_those_alike_at_most() -> None:
    sink = a_sink("house")
    sink.done(a_record(duration=cast("float", "long")))
    sink.done(a_record(outcome="failure"))
    sink.done(a_record(client="kids"))
    with pytest.raises(TypeError):
        sink.generated_by("exo")
    assert sink.generated_by("exo") == 10
    counted = {(client, outcome) for _, client, _, _, outcome in sink.families.requests.sums}
    assert {("default", "failure"), ("kids", "success")} <= counted
