"""The sink counts what records and announcements say, once."""

import pytest

from exo_supervisor.core.effects import say
from exo_supervisor.core.policy import ModelRule, Policy
from exo_supervisor.host.metrics.sink import MetricsSink
from exo_supervisor.views.request_done import RequestDone

NODE = "192.168.1.5:52415"


def a_sink(*names: str) -> MetricsSink:
    policy = Policy(models=tuple(ModelRule(name) for name in names))
    return MetricsSink(lambda: policy)


def a_record(**more: object) -> RequestDone:
    record = RequestDone(
        "r", model="house", target=NODE, attempts=2, status=200, outcome="success", ttft=0.5,
        duration=2.5, prompt_tokens=10, completion_tokens=5, cached_tokens=4,
    )  # fmt: skip
    for name, value in more.items():
        setattr(record, name, value)
    return record


def test_an_answer_counts_in_every_figure() -> None:
    sink = a_sink("house")
    sink.done(a_record())
    where = ("house", "exo")
    assert sink.requests.sums == {("openai", "default", *where, "success"): 1}
    figures = [sink.attempts, sink.prompt, sink.cached, sink.generated]
    assert [figure.sums for figure in figures] == [{where: n} for n in (2, 10, 4, 5)]
    assert [sink.first.cells[where].total, sink.duration.cells[where].total] == [0.5, 2.5]
    assert sink.between.cells[where].total == 0.5  # 2 s for the four tokens after the first
    assert not sink.errors.sums


def test_an_error_has_its_code_and_no_latency() -> None:
    sink = a_sink("house")
    nothing = {"target": None, "attempts": 0, "ttft": None, "prompt_tokens": None}
    sink.done(a_record(**nothing, completion_tokens=None, cached_tokens=None, code="no_target"))
    assert sink.errors.sums == {("no_target",): 1}
    assert list(sink.duration.cells) == [("house", "none")]
    assert not sink.first.cells
    assert not sink.attempts.sums


def test_one_token_has_no_time_between_tokens() -> None:
    sink = a_sink("house")
    sink.done(a_record(completion_tokens=1))
    assert not sink.between.cells


@pytest.mark.parametrize("model", ["somebody-invented-this", None])
def test_a_name_that_no_row_has_is_no_label(model: str | None) -> None:
    sink = a_sink("house")
    sink.done(a_record(model=model))
    assert list(sink.duration.cells) == [("other", "exo")]


def test_names_are_those_of_the_policy_that_holds() -> None:
    policies = [Policy(), Policy(models=(ModelRule("house"),))]
    sink = MetricsSink(lambda: policies[0])
    sink.done(a_record())
    policies.pop(0)
    sink.done(a_record())
    assert list(sink.duration.cells) == [("other", "exo"), ("house", "exo")]


def test_what_is_announced_is_counted_by_its_own_words() -> None:
    sink = a_sink()
    sink.announce(say("info", "attempt_failed", target=NODE, fault="stall"))
    sink.announce(say("info", "attempt_failed", target="openrouter", fault="stall", left_out=4))
    moved = {"from": "exo", "to": "cloud", "reason": "breaker_open"}
    sink.announce(say("warning", "traffic_shifted", **moved))
    for name in ("breaker_opened", "breaker_half_opened", "breaker_closed"):
        sink.announce(say("info", name, target=NODE))
    assert sink.failed.sums == {("exo", "stall"): 1, ("cloud", "stall"): 5}
    assert sink.shifts.sums == {("exo", "cloud", "breaker_open"): 1}
    assert sink.transitions.sums == {("exo", to): 1 for to in ("open", "half_open", "closed")}
    assert sink.events.sums["attempt_failed", "info"] == 2
