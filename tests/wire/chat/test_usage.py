"""Token counts are read with their details, wherever a provider tells them, and written again."""

import json

import pytest
from msgspec import Raw, ValidationError

from exo_supervisor.wire.chat.piece import Usage
from exo_supervisor.wire.chat.usage import read_reported, read_usage, write_usage
from tests.wire.reading import streamed

BARE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


@pytest.mark.parametrize(
    ("told", "cached", "written", "reasoned"),
    [
        ({}, 0, 0, 0),
        ({"prompt_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 1}}, 7, 1, 0),
        ({"completion_tokens_details": {"reasoning_tokens": 3}}, 0, 0, 3),
        ({"completion_tokens_details": {"reasoning_tokens": 4}}, 0, 0, 4),
        ({"prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 3}, 6, 0, 0),
        ({"cached_tokens": 5}, 5, 0, 0),
        ({"prompt_tokens_details": None, "completion_tokens_details": []}, 0, 0, 0),
        ({"prompt_tokens_details": {"cached_tokens": "7", "cache_write_tokens": -1}}, 0, 0, 0),
        ({"prompt_tokens_details": {"cached_tokens": True}}, 0, 0, 0),
        ({"prompt_tokens_details": {"cached_tokens": 10**40}}, 0, 0, 0),
    ],
)
def test_details_are_read_where_they_are_told(
    told: dict[str, object], cached: int, written: int, reasoned: int
) -> None:
    usage = read_usage(Raw(json.dumps(BARE | told).encode()))
    assert usage == Usage(
        9, 4, 13, cached_tokens=cached, cache_write_tokens=written, reasoning_tokens=reasoned
    )


def test_a_usage_without_its_counts_is_none() -> None:
    with pytest.raises(ValidationError):
        read_usage(Raw(b'{"prompt_tokens":1}'))


@pytest.mark.parametrize("name", list(BARE))
@pytest.mark.parametrize("count", [-1, 10**9 + 1, 10**40, 1.5, "9", None])
def test_a_usage_that_nobody_can_have_is_none(name: str, count: object) -> None:
    reading = streamed()
    reading.read_usage(Raw(json.dumps(BARE | {name: count}).encode()))
    assert (reading.usage, reading.usage_text) == (None, b"")


def test_a_usage_is_written_with_the_details_that_it_has() -> None:
    assert json.loads(write_usage(Usage(9, 4, 13))) == BARE
    usage = Usage(9, 4, 13, cached_tokens=7, cache_write_tokens=1, reasoning_tokens=3)
    assert read_usage(Raw(write_usage(usage))) == usage


def test_a_continuation_counts_what_it_was_given_as_answered_not_as_asked() -> None:
    reading = streamed()
    reading.before = 3
    details = {"prompt_tokens_details": {"cached_tokens": 8}}
    reading.read_usage(Raw(json.dumps(BARE | details).encode()))
    assert reading.usage == Usage(6, 7, 13, cached_tokens=6)


def test_an_answer_tells_how_much_of_its_prompt_was_cached() -> None:
    reading = streamed()
    assert reading.usage is None
    details = {"prompt_tokens_details": {"cached_tokens": 8}}
    reading.read_usage(Raw(json.dumps(BARE | details).encode()))
    assert reading.usage == Usage(9, 4, 13, cached_tokens=8)


def test_a_usage_with_what_json_has_no_word_for_is_read_all_the_same() -> None:
    odd = b'{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"x":NaN,"cached_tokens":5}'
    assert read_usage(Raw(odd)) == Usage(9, 4, 13, cached_tokens=5)


@pytest.mark.parametrize(
    ("told", "pico"),
    [
        (b'"cost":1.4e-05', 14_000_000),
        (b'"cost":0.00014550000000000001', 145_500_000),
        (b'"cost":1234.5678901234', 1_234_567_890_123_400),
        (b'"cost":"0.02"', 20_000_000_000),
        (b'"cost":0', 0),
        (b'"cost":4e-13', 1),
        (b'"cost":2,"is_byok":true,"cost_details":{"upstream_inference_cost":0.5}', 25 * 10**11),
        (b'"cost":2,"is_byok":true,"cost_details":{"upstream_inference_cost":null}', 2 * 10**12),
        (b'"cost":2,"is_byok":true', 2 * 10**12),
        (b'"cost":2,"is_byok":false,"cost_details":{"upstream_inference_cost":2}', 2 * 10**12),
        (b'"cost":{"input_tokens_cost":0.1,"total_cost":0.006}', 6 * 10**9),
        (b'"estimated_cost":2.1e-06', 2_100_000),
        (b'"cost_in_usd_ticks":37756000', 3_775_600_000),
        (b'"cost":null,"cost_in_usd_ticks":null', None),
        (b'"cost":{"total":1}', None),
        (b'"cost":-1', None),
        (b'"cost":1e999999999999999999999', None),
        (b'"cost":1e10', None),
        (b'"cost":true', None),
        (b'"cost":"NaN"', None),
        (b'"cost":"\xc3\xa9"', None),
    ],
)
def test_what_an_upstream_asks_is_read_by_its_digits(told: bytes, pico: int | None) -> None:
    whole = json.dumps(BARE).encode()[:-1] + b"," + told
    assert read_usage(Raw(whole + b"}")).reported_cost == pico
    assert read_usage(Raw(whole + b',"x":NaN}')).reported_cost == pico
    assert read_reported(Raw(b"{" + told + b"}")) == pico


def test_digits_that_no_float_holds_are_not_lost() -> None:
    assert read_reported(Raw(b'{"cost":123456789.123456789012}')) == 123_456_789_123_456_789_012


def test_a_usage_that_asks_nothing_reports_none() -> None:
    assert read_reported(Raw(b"{}")) is None
    assert read_reported(Raw(b'{"cost":1,"x":NaN}')) is None
