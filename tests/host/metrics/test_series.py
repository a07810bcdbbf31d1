"""A page does not grow with time: nodes, models and clients that come and go leave no series."""

from random import Random

import pytest

from exo_supervisor.core.events import NodeSighted
from exo_supervisor.core.names import Address
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.host.metrics.loop_delay import LoopDelay
from exo_supervisor.host.metrics.page import Page
from exo_supervisor.host.metrics.sink import MetricsSink
from exo_supervisor.views.request_done import AttemptDone, RequestDone, RequestLine
from tests.core.story import BOTH, Story

DAY = 86_400
STEP = 240
"""Seconds between two changes of the house."""


def test_a_day_of_strangers_leaves_as_many_series_as_an_hour() -> None:
    """Nodes come up, are asked and vanish for good, and clients ask for what nobody has."""
    dice = Random(14)  # noqa: S311 - whims of strangers, no secret
    story = Story(BOTH, "10.0.0.1:52415")
    sink, delay, heard = MetricsSink(lambda: BOTH), LoopDelay(), 0
    histograms = [*sink.families.histograms, delay.delays]
    page = Page(
        story.machine, sink.families.counters, histograms, {}, lambda: None, lambda: story.now
    )
    held = dict[int, int]()
    for step in range(DAY // STEP):
        address = Address(f"10.{step % 250}.{step // 250}.{1 + step % 200}:52415")
        story.tell(NodeSighted(node=address, url=f"http://{address}", source="mdns"))
        story.up(address)
        sink.done(strange(dice, step, address))
        story.down(address)
        story.up("10.0.0.1:52415")
        story.read("10.0.0.1:52415", "m")
        story.wait(STEP)
        for said in story.said[heard:]:
            sink.announce(said)
        heard = len(story.said)
        held[step] = sum(len(family.samples) for family in page.collect())
    settled = held[3 * 3600 // STEP]
    assert held[DAY // STEP - 1] <= settled + 100, "it grows with time"
    assert max(held.values()) < 2_000
    assert all(len(counter.sums) < 100 for counter in sink.families.counters)


def strange(dice: Random, step: int, node: str) -> RequestDone:
    line = RequestLine(
        f"r{step}", model=f"invented-{step}", target=dice.choice((node, "p")), client="default",
        outcome=dice.choice(("success", "failure", "refused", "abandoned")), ttft=dice.random(),
        duration=dice.random(), code=dice.choice((None, "no_target", "attempts_failed")),
        completion_tokens=dice.randrange(9), prompt_tokens=3, cached_tokens=1,
    )  # fmt: skip
    line.leave("p", 100)
    tried = [
        AttemptDone(
            where, f"m{step}", None, None, 0.0, 0.5, None, None, dice.choice(list(Fault)).value,
            500, "", 3, 4, 1, cost=5 if where == "p" else None,
        )
        for where in (node, "p")
    ]  # fmt: skip
    return RequestDone(line, tried)


def test_counted_together_requests_come_to_what_they_come_to_one_by_one() -> None:
    dice, together, alone = Random(11), MetricsSink(lambda: BOTH), MetricsSink(lambda: BOTH)  # noqa: S311 - as above
    for step in range(300):
        record = strange(dice, step, "10.0.0.1:52415")
        together.done(record)
        alone.done(record)
        assert alone.families.requests.sums  # which has it counted
    for one, other in zip(together.families.counters, alone.families.counters, strict=True):
        assert one.sums == pytest.approx(other.sums), one.name
    for one, other in zip(together.families.histograms, alone.families.histograms, strict=True):
        assert {key: each.counts for key, each in one.cells.items()} == {
            key: each.counts for key, each in other.cells.items()
        }, one.name
