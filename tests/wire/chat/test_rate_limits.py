"""What a head tells of its limits is read in every provider's form; garbage is no form of it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.load.allowance import Allowance
from exo_supervisor.core.outcomes import Failure, Fault
from exo_supervisor.wire.chat.judge import judge
from exo_supervisor.wire.chat.rate_limits import IN_EACH_NAME, read_allowances

NOW = 1_800_000_000.0
DATE = {"date": "Fri, 15 Jan 2027 08:00:00 GMT"}  # the same instant
LATER = datetime.fromtimestamp(NOW + 90, UTC)


def requests_left(left: str, reset: str, **more: str) -> dict[str, str]:
    return {"x-ratelimit-remaining-requests": left, "x-ratelimit-reset-requests": reset, **more}


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("1s", 1.0), ("6m0s", 360.0), ("20ms", 0.02), ("2m59.56s", 179.56), ("7.66s", 7.66),
        ("1h2m3s", 3600.0), ("1d", 3600.0), ("59m59s", 3599.0), ("1m30s500ms", 90.5),
        ("17", 17.0), ("0.5", 0.5), ("86400", 3600.0), ("1800000090", 90.0),
        ("1800000090000", 90.0), ("1800000090.5", 90.5),
        ("2027-01-15T08:01:30Z", 90.0), ("2027-01-15T09:01:30+01:00", 90.0), (" 17 ", 17.0),
        ("9" * 30, 3600.0), ("1" * 40, 3600.0), ("999999999", 3600.0),
    ],
)  # fmt: skip
def test_each_form_of_a_reset(reset: str, seconds: float) -> None:
    [told] = read_allowances(requests_left("0", reset), NOW)
    assert (told.kind, told.left) == ("requests", 0)
    assert told.reset == pytest.approx(seconds)


@pytest.mark.parametrize(
    "reset",
    ["", "0", "0s", "-5", "soon", "1x", "s", "1799999999", "2027-01-15T07:00:00Z", "1e3", "NaN",
     "2027-01-15T08:01:30", "0001-01-01T00:00:00+14:00", "²s", "1" * 41, "1 s",
     "1000000000", "100000000000"],
)  # fmt: skip
def test_a_reset_that_is_none_or_over_says_nothing(reset: str) -> None:
    assert read_allowances(requests_left("0", reset), NOW) == ()


def test_what_is_left_may_have_as_many_digits_as_are_looked_at() -> None:
    assert read_allowances(requests_left("9" * 40, "1"), NOW)[0].left == int("9" * 40)


@pytest.mark.parametrize("left", ["", "-1", "1.5", "many", "²", "9" * 41, "0x0"])
def test_what_is_left_is_a_number_or_nothing(left: str) -> None:
    assert read_allowances(requests_left(left, "1s"), NOW) == ()


@pytest.mark.parametrize(
    ("remaining", "reset", "kind"),
    [
        ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", "requests"),
        ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", "tokens"),
        ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset",
         "requests"),
        ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset", "tokens"),
        ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset",
         "tokens"),
        ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset",
         "tokens"),
        ("x-ratelimit-remaining", "x-ratelimit-reset", "requests"),
        ("ratelimit-remaining", "ratelimit-reset", "requests"),
    ],
)  # fmt: skip
def test_each_pair_of_names(remaining: str, reset: str, kind: str) -> None:
    [told] = read_allowances({remaining: "3", reset: "5"}, NOW)
    assert (told.kind, told.left, told.reset) == (kind, 3, 5.0)
    assert read_allowances({remaining: "3"}, NOW) == ()
    assert IN_EACH_NAME in remaining


def test_a_moment_is_reckoned_from_the_answers_own_date() -> None:
    headers = requests_left("0", LATER.isoformat()) | DATE
    assert read_allowances(headers, NOW + 5000) == (Allowance("requests", 0, 90.0),)
    assert read_allowances(headers | {"date": "yesterday"}, NOW + 30) == (
        Allowance("requests", 0, 60.0),
    )


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=40))
def test_whatever_stands_there_is_read_within_the_hour_or_not_at_all(
    left: str, reset: str, date: str
) -> None:
    for told in read_allowances(requests_left(left, reset, date=date), NOW):
        assert told.left >= 0
        assert 0.0 < told.reset <= 3600.0


def test_a_429_that_names_no_time_is_left_alone_until_its_reset() -> None:
    def judged(status: int, headers: dict[str, str], *, exo: bool = False) -> Failure | None:
        return judge(status, "application/json", headers, b"{}", exo=exo, now_wall=NOW)

    head = requests_left("0", "40s")
    assert judged(429, head) == Failure(Fault.BUSY, "", 429, 40.0, of_key=True)
    assert judged(429, requests_left("3", "40s")) == Failure(Fault.BUSY, "", 429, of_key=True)
    named = judged(429, head | {"Retry-After": "2"})
    assert named is not None
    assert named.retry_after == 2.0
    assert judged(429, head, exo=True) == Failure(Fault.BUSY, "", 429)
