"""Token counts are read with their details, wherever a provider tells them, and written again."""

import json

import pytest
from msgspec import Raw, ValidationError

from exo_supervisor.wire.chat.piece import Usage
from exo_supervisor.wire.chat.usage import read_usage, write_usage
from tests.wire.reading import streamed

BARE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


@pytest.mark.parametrize(
    ("told", "cached", "written", "reasoned"),
    [
        ({}, 0, 0, 0),
        ({"prompt_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 1}}, 7, 1, 0),
        ({"completion_tokens_details": {"reasoning_tokens": 3}}, 0, 0, 3),
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
    assert (reading.prompt_tokens, reading.cached_tokens) == (6, 6)


def test_an_answer_tells_how_much_of_its_prompt_was_cached() -> None:
    reading = streamed()
    assert reading.cached_tokens is None
    details = {"prompt_tokens_details": {"cached_tokens": 8}}
    reading.read_usage(Raw(json.dumps(BARE | details).encode()))
    assert reading.cached_tokens == 8


def test_a_usage_with_what_json_has_no_word_for_is_read_all_the_same() -> None:
    odd = b'{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"x":NaN,"cached_tokens":5}'
    assert read_usage(Raw(odd)) == Usage(9, 4, 13, cached_tokens=5)
