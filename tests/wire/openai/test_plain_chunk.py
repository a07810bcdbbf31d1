"""Chunks that tell a text at most have a short way to where it is gathered, and say the same."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.names import Generation
from exo_supervisor.wire.chat.piece import Writer
from exo_supervisor.wire.exo.traits import TRAITS
from exo_supervisor.wire.openai.chunk import SMALL
from exo_supervisor.wire.openai.reader import ChunkReader
from exo_supervisor.wire.openai.stream_writer import DONE
from tests.wire.openai.test_template import (
    InFull,
    chunk,
    content,
    events,
    gathers,
    line,
    outcome,
    small,
    streams,
    text,
)

STOP = line(chunk("{}", ',"finish_reason":"stop"'))
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
TIER: dict[str, object] = {"service_tier": "default"}
PRINT: dict[str, object] = {"system_fingerprint": "fp"}


class Counting(ChunkReader):
    """Counts the chunks that are taken for plain."""

    plain = 0

    def _take_plain(self, data: bytes) -> bool:
        took = super()._take_plain(data)
        self.plain += took
        return took


def same(
    body: bytes, kind: Generation | None = None, make: Callable[[], Writer] = gathers,
    choices: int = 1,
) -> Counting:  # fmt: skip
    """Read each event by itself, which no template does for the first, and all at once."""
    made = Counting(writer=make(), traits=TRAITS[kind], choices=choices)
    for cuts in ([], events(body)):
        made = Counting(writer=make(), traits=TRAITS[kind], choices=choices)
        full = InFull(writer=make(), traits=TRAITS[kind], choices=choices)
        assert outcome(made, body, cuts, clean=True) == outcome(full, body, cuts, clean=True)
        assert made.held == full.held or kind == "B"  # whose texts are held as they are written
        assert made.response_id == full.response_id
        assert (made.processed, made.prefill_total) == (full.processed, full.prefill_total)
    return made


def told(choice: dict[str, object] | None, around: dict[str, object]) -> bytes:
    shape = {"id": "x", "choices": [] if choice is None else [choice], **around}
    return line(json.dumps(shape).encode())


FIRST = told({"delta": {"role": "assistant", "content": ""}}, {"model": "m"})
LAST = told({"delta": {}, "finish_reason": "stop"}, {"model": "m"})
SUM = told(None, {"model": "m", "usage": USAGE})


@pytest.mark.parametrize("kind", [None, "C"])
def test_the_first_event_the_first_word_the_end_and_the_usage_are_plain(
    kind: Generation | None,
) -> None:
    word = told({"delta": {"content": "a\u00e9"}, "finish_reason": None}, {"model": "m"})
    assert same(FIRST + word * 3 + LAST + SUM + DONE, kind).plain == 4


@pytest.mark.parametrize(("kind", "make"), [("B", gathers), ("A", gathers), (None, streams)])
def test_where_texts_are_not_but_gathered_nothing_is(
    kind: Generation | None, make: Callable[[], Writer]
) -> None:
    assert same(FIRST + text("a") + LAST, kind, make).plain == 0


@pytest.mark.parametrize("around", [TIER | PRINT, PRINT | TIER, PRINT, TIER])
def test_what_stands_beside_goes_along_in_its_order(around: dict[str, object]) -> None:
    word = told({"delta": {"content": "a"}}, around)
    later = told({"delta": {"content": "b"}}, around | {"system_fingerprint": "later"})
    assert same(word + later + told({"delta": {}, "finish_reason": "stop"}, around)).plain == 3


def test_a_large_one_is_read_in_full() -> None:
    assert same(FIRST + text("a" * SMALL) + text("b") + LAST).plain == 1


def test_an_answer_that_grows_too_large_fails_alike() -> None:
    for size in (1, 500, 1_000, 1_500):
        same(FIRST + text("a" * size) + text("b" * size) + LAST + text("c" * size), make=small)


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_an_end_without_a_word_before_it_is_told_alike(reason: str) -> None:
    wordless = told({"delta": {}, "finish_reason": reason}, {"model": "m"})
    assert same(FIRST + wordless + SUM + DONE).plain == 3


def test_another_choice_that_ended_before_ends_none_of_this_one() -> None:
    """An event with a name is read in full, and leaves the next to be plain."""
    other: dict[str, object] = {"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}
    word = told({"delta": {"content": "a"}}, {"model": "m"})
    body = b"event: message\n" + told(other, {"model": "m"}) + word
    assert same(body + DONE).plain == 1
    assert same(body + LAST + DONE, choices=2).fault is None


@pytest.mark.parametrize("member", ["id", "model", "usage", "system_fingerprint"])
def test_what_is_no_utf8_beside_a_text_makes_an_event_unreadable(member: str) -> None:
    odd = b'{"choices":[{"delta":{"content":"a"}}],"%b":"\xff"}' % member.encode()
    assert same(FIRST + line(odd)).malformed == 1


ODD: list[object] = [
    None, "", "a", "\n\u00e9\\", "\ud83d", 0, 1, 2**70, True, [], {}, ["a"], [{}], {"a": 1}, "stop",
    "length", "error", "assistant", "user", "tool_calls", float("-inf"), 0.5, USAGE,
]  # fmt: skip
VALUE = st.sampled_from(ODD)
WORD = st.sampled_from(["", "a", "b\n", "\u00e9"])
DELTAS = st.dictionaries(st.just("content"), WORD | VALUE) | st.dictionaries(
    st.sampled_from(["role", "content", "refusal", "reasoning", "reasoning_content", "tool_calls",
                     "function_call", "audio", "name", "x"]),
    VALUE,
)  # fmt: skip
CHOICES = st.fixed_dictionaries(
    {"delta": DELTAS},
    optional={
        "index": st.sampled_from([0, 0, 1, None, -1]),
        "finish_reason": st.sampled_from([None, None, "stop", "length", "error", "tool_calls"]),
        "logprobs": VALUE,
        "native_finish_reason": st.sampled_from([None, "stop", "error"]),
    },
)
AROUND = st.dictionaries(
    st.sampled_from(["model", "usage", "error", "citations", "service_tier", "id", "object",
                     "system_fingerprint", "created", "supervisor"]),
    VALUE,
    max_size=3,
)  # fmt: skip
PLAIN = st.builds(
    told,
    st.none() | st.fixed_dictionaries({"delta": st.dictionaries(st.just("content"), WORD)}),
    st.sampled_from([{}, {"model": "m"}, {"usage": USAGE}, TIER, PRINT]),
)
EVENTS = PLAIN | st.builds(told, st.none() | CHOICES, AROUND)
PREFILL = [
    b': prefill_progress {"PrefillProgressChunk":{"processed_tokens":%d}}\n\n' % n for n in (1, 2)
]
RARE = st.sampled_from(PREFILL) | st.sampled_from(
    [STOP, DONE, b"event: error\n" + text("b"), b": comment\n\n", line(b"{"), line(b"[]"),
     line(chunk(content("5"))), line(chunk(content('"b"')) + b" "),
     text("\u00e9").replace(b"u", b"v"), line(b'{"choices":null}'),
     line(b'{"choices":[{"delta":{"content":"\xff"}}]}'),
     line(b'{"choices":[{"delta":{"content":"a"}}],"choices":[]}'),
     line(b'{"choices":[{"delta":{"content":"a","content":"b"}}],"took":NaN}')],
)  # fmt: skip


@given(
    first=st.lists(PLAIN, max_size=4),
    more=st.lists(EVENTS | RARE, max_size=6),
    ends=st.booleans(),
    kind=st.sampled_from([None, "C", "B"]),
    make=st.sampled_from([gathers, small]),
    choices=st.integers(1, 2),
)
def test_no_chunk_is_told_otherwise(
    *,
    first: list[bytes],
    more: list[bytes],
    ends: bool,
    kind: Generation | None,
    make: Callable[[], Writer],
    choices: int,
) -> None:
    body = b"".join([*first, *more, LAST + SUM + DONE if ends else b""])
    same(body, kind, gathers if make is small and kind == "B" else make, choices)
