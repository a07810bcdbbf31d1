"""A price that is not what its provider asks is told of, once an hour for a model."""

import pytest
from structlog.testing import capture_logs

from exo_supervisor.app.price_drift import QUIET, PriceDrift
from exo_supervisor.core.effects import Announce
from exo_supervisor.views.request_done import AttemptDone, RequestDone, RequestLine


def done(
    cost: int | None, reported: int | None, *, estimated: bool = False, model: str = "m"
) -> RequestDone:
    attempt = AttemptDone(
        "or", model, None, None, 0.0, 1.0, None, None, "none", 200, "",
        cost=cost, reported_cost=reported, estimated=estimated,
    )  # fmt: skip
    return RequestDone(RequestLine("r"), [attempt])


@pytest.mark.parametrize(
    ("cost", "reported", "told"),
    [
        (100_000_000, 100_000_000, False),
        (100_000_000, 101_500_000, True),
        (100_000_000, 98_900_000, True),
        (100_000_000, 101_000_000, False),
        (0, 1_000_000, False),
        (0, 1_000_001, True),
        (None, 5_000_000, False),
        (5_000_000, None, False),
    ],
)
def test_what_differs_by_more_than_rounding_is_told(
    cost: int | None, reported: int | None, *, told: bool
) -> None:
    with capture_logs() as lines:
        PriceDrift("USD").done(done(cost, reported))
    assert bool(lines) is told


def test_it_is_told_once_an_hour_for_each_model() -> None:
    now = [0.0]
    sink = PriceDrift("USD", lambda: now[0])
    with capture_logs() as lines:
        for now[0] in (0.0, 1.0, QUIET - 1.0, QUIET, QUIET + 1.0):
            sink.done(done(1_500_000, 4_000_000))
        sink.done(done(1_500_000, 4_000_000, model="n"))
        sink.announce(Announce(level="info", name="x", facts={}))
    assert [line["model"] for line in lines] == ["m", "m", "n"]
    assert lines[0] == {
        "event": "price_drift", "log_level": "warning", "provider": "or", "model": "m",
        "cost_microdollars": 2, "reported_microdollars": 4,
    }  # fmt: skip


def test_what_was_reckoned_or_is_in_another_currency_cannot_be_compared() -> None:
    with capture_logs() as lines:
        PriceDrift("USD").done(done(1, 9_000_000, estimated=True))
        PriceDrift("EUR").done(done(1, 9_000_000))
    assert not lines
