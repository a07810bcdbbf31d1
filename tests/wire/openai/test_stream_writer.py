"""One upstream answer, told to a streaming client."""

import json
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.names import Generation
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.piece import Usage
from exo_supervisor.wire.chat.stream_reader import MAX_MALFORMED
from exo_supervisor.wire.lenient_json import MAX_LENIENT_BYTES
from exo_supervisor.wire.openai.reader import ChunkReader
from exo_supervisor.wire.openai.stream_writer import DONE
from tests.wire.reading import streamed
from tests.wire.sdk import judge_chunk

Json = dict[str, object]
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def answer(
    generation: Generation | None = None,
    *,
    usage: bool = False,
    max_tokens: int | None = None,
    stop: tuple[str, ...] = (),
    asked: str = "m",
) -> ChunkReader:
    return streamed(generation, usage=usage, max_tokens=max_tokens, stop=stop, asked=asked)


def event(data: object) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def chunk(delta: object, finish: str | None = None, index: int = 0, **more: object) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return event({"id": "theirs", "model": "m", "choices": [choice]} | more)


def text(content: str, finish: str | None = None, index: int = 0) -> bytes:
    return chunk({"content": content}, finish, index)


def chunks(stream: bytes) -> list[Json]:
    events = [one.removeprefix(b"data: ") for one in stream.split(b"\n\n")]
    found = [json.loads(one) for one in events if one and one != b"[DONE]"]
    for one in found:
        judge_chunk(one)
    return found


def choices(stream: bytes) -> list[Json]:
    return [c for one in chunks(stream) for c in cast("list[Json]", one["choices"])]


def test_a_delta_is_copied_as_it_came_into_our_envelope() -> None:
    reading = answer()
    raw = b'{ "content" : "\\u00e9", "x":1.50 }'
    reading.feed(text("a"))
    told = reading.feed(b'data: {"model":"m","choices":[{"index":0,"delta":' + raw + b"}]}\n\n")
    assert told == (
        b'data: {"id":"ours","object":"chat.completion.chunk","created":7,"model":"m",'
        b'"choices":[{"index":0,"delta":' + raw + b',"finish_reason":null}]}\n\n'
    )
    assert (reading.served_model, reading.tokens) == ("m", 2)


def test_json_over_several_data_lines_stays_one_event() -> None:
    told = answer().feed(b'data: {"choices":[{"delta":\ndata: {"content":\ndata: "a"}}]}\n\n')
    assert told.count(b"\n") == 2
    assert choices(told)[0]["delta"] == {"role": "assistant", "content": "a"}


@pytest.mark.parametrize("generation", ["A", "B", "C", None])
def test_the_first_chunk_alone_carries_the_role(generation: Generation | None) -> None:
    reading = answer(generation)
    assert reading.feed(chunk({"role": "assistant", "content": ""})) == b""
    assert not reading.content
    assert reading.progressed == 0
    told = reading.feed(text("a") + text("b"))
    assert [c["delta"] for c in choices(told)] == [
        {"role": "assistant", "content": "a"},
        {"content": "b"},
    ]


def test_a_role_that_is_null_is_made_one() -> None:
    told = answer().feed(chunk({"role": None, "content": "a"}))
    assert choices(told)[0]["delta"] == {"role": "assistant", "content": "a"}


def test_exos_repeated_role_and_nulls_are_dropped() -> None:
    reading = answer("B")
    delta = {"role": "assistant", "content": "a", "reasoning_content": None, "name": None}
    told = reading.feed(chunk(delta) + chunk(delta))
    assert [c["delta"] for c in choices(told)] == [
        {"role": "assistant", "content": "a"},
        {"content": "a"},
    ]
    spoken = answer("C")
    told = spoken.feed(chunk(delta) + chunk(delta) + b'data: {"choices":[{"delta":'
                       b'{"role":"assistant","content":"c"}}]}\n\n')  # fmt: skip
    assert b'{"content":"c"}' in told


def test_the_id_inside_a_function_is_dropped_for_exo_only() -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"id": "c", "name": "f"}}
    for generation in ("B", "C"):
        (one,) = choices(answer(generation).feed(chunk({"tool_calls": [call]})))
        calls = cast("list[dict[str, Json]]", cast("Json", one["delta"])["tool_calls"])
        assert calls[0]["function"] == {"name": "f"}
    assert b'"function": {"id": "c"' in answer().feed(chunk({"tool_calls": [call]}))


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "a"},
        {"content": [{"type": "text", "text": "a"}]},
        {"reasoning_content": "a"},
        {"reasoning": "a"},
        {"reasoning_details": [{"text": "a"}]},
        {"refusal": "no"},
        {"tool_calls": [{"index": 0}]},
        {"function_call": {"name": "f"}},
        {"audio": {"id": "x"}},
    ],
)
def test_whatever_is_said_is_content(delta: Json) -> None:
    reading = answer()
    assert reading.feed(chunk(delta))
    assert (reading.content, reading.progressed, reading.tokens) == (True, 1, 1)


@pytest.mark.parametrize(
    "delta",
    [
        {"content": list[str]()},
        {"reasoning_content": ["a"]},
        {"reasoning": True},
        {"refusal": {"x": 1}},
        {"tool_calls": list[str]()},
        {"function_call": "x"},
        {"function_call": dict[str, str]()},
        {"reasoning_details": "x"},
        {"audio": "x"},
    ],
)
def test_what_no_reader_could_use_is_no_content(delta: Json) -> None:
    reading = answer()
    assert reading.feed(chunk(delta) + chunk({}, "stop") + DONE) == b""
    assert (reading.fault, reading.tokens, reading.malformed) == (Fault.EMPTY, 0, 0)


def test_after_content_an_empty_delta_is_progress_and_passes() -> None:
    reading = answer("C")
    reading.feed(text("a"))
    assert choices(reading.feed(text("")))[0]["delta"] == {"content": ""}
    assert (reading.progressed, reading.tokens) == (2, 1)


def test_a_delta_that_is_null_passes_as_an_empty_one() -> None:
    told = answer().feed(text("a") + chunk(None) + chunk(None, "stop"))
    assert [c["delta"] for c in choices(told)][1:] == [{}, {}]


def test_logprobs_pass() -> None:
    probs: Json = {"content": [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}
    choice: Json = {"index": 0, "delta": {"content": "a"}, "logprobs": probs}
    assert choices(answer().feed(event({"choices": [choice]})))[0]["logprobs"] == probs


def test_several_choices_each_get_their_role_and_end() -> None:
    reading = answer()
    both = event({"choices": [{"index": i, "delta": {"content": "a"}} for i in (0, 1)]})
    told = reading.feed(both + text("b", "stop", 1))
    assert not reading.finished
    assert reading.feed(DONE[:3]) == b""
    told += reading.feed(b"ta: {}\n\n") + reading.feed(text("c", "length") + DONE)
    assert reading.finished
    assert [(c["index"], c["finish_reason"]) for c in choices(told)] == [
        (0, None),
        (1, None),
        (1, "stop"),
        (0, "length"),
    ]
    assert told.endswith(DONE)


def test_one_choice_without_an_end_is_no_whole_answer() -> None:
    reading = answer()
    reading.feed(text("a") + text("b", "stop", 1) + DONE)
    assert reading.fault is Fault.UNFINISHED


@pytest.mark.parametrize("usage", [True, False])
@pytest.mark.parametrize("placed", ["in the last chunk", "in its own chunk"])
def test_usage_is_a_last_chunk_if_it_was_asked_for(usage: bool, placed: str) -> None:  # noqa: FBT001 - a column of the table
    reading = answer(usage=usage)
    own = placed == "in its own chunk"
    last = chunk({}, "stop") if own else chunk({}, "stop", usage=USAGE)
    told = reading.feed(text("a") + last + (event({"choices": [], "usage": USAGE}) if own else b""))
    told += reading.feed(DONE)
    assert [one.get("usage") for one in chunks(told)] == [None, None] + [USAGE] * usage
    assert reading.usage == Usage(3, 2, 5)


def test_no_usage_is_invented_except_for_a() -> None:
    told = answer(usage=True).feed(text("a", "stop") + DONE)
    assert len(chunks(told)) == 1
    reading = answer("A", usage=True)
    told = reading.feed(text("a") + text("b</s>", "stop")) + reading.close()
    assert chunks(told)[-1]["usage"] == {"completion_tokens": 2}
    assert reading.usage is None


def test_odd_usage_is_no_usage() -> None:
    reading = answer(usage=True)
    told = reading.feed(text("a", "stop") + event({"usage": {"prompt_tokens": "x"}}) + DONE)
    assert len(chunks(told)) == 1
    assert reading.usage is None


def test_the_end_comes_once_and_what_follows_is_ignored() -> None:
    reading = answer()
    told = reading.feed(text("a", "stop") + DONE + text("b") + DONE)
    assert told.count(DONE) == 1
    assert reading.feed(text("c")) == b""
    assert reading.close() == b""
    assert (reading.done, reading.fault) == (True, None)


def test_a_clean_end_after_the_finish_is_enough() -> None:
    reading = answer()
    reading.feed(text("a", "stop"))
    assert reading.close() == DONE


def test_a_last_event_without_its_blank_line_counts_at_a_clean_end() -> None:
    reading = answer()
    told = reading.feed(text("a") + text("b", "stop").rstrip()) + reading.close()
    assert len(chunks(told)) == 2
    assert reading.fault is None
    whole = answer()
    whole.feed(text("a", "stop") + DONE.rstrip())
    assert whole.close() == DONE


@pytest.mark.parametrize(
    ("stream", "fault"),
    [
        (b"", Fault.EMPTY),
        (b": keep-alive\n\n", Fault.EMPTY),
        (DONE, Fault.EMPTY),
        (chunk({"role": "assistant"}), Fault.EMPTY),
        (chunk({"role": "assistant", "content": ""}, "stop"), Fault.EMPTY),
        (chunk({}, "stop") + DONE, Fault.EMPTY),
        (text("a"), Fault.UNFINISHED),
        (text("a") + DONE, Fault.UNFINISHED),
        (event({"choices": None}) + event({}), Fault.EMPTY),
        (chunk({}, "eos") + DONE, Fault.EMPTY),
        (chunk({}, "weird"), Fault.EMPTY),
        (text("a", "eos"), None),
        (chunk({}, "length"), None),
        (chunk({}, "function_call"), None),
        (chunk({}, "tool_calls"), None),
        (chunk({}, "content_filter") + DONE, None),
        (chunk({}, "stop") + text("a", "stop", 1), None),
        (text("a", "error"), Fault.ERROR_EVENT),
        (text("a") + chunk({"content": "b"}, "error"), Fault.ERROR_EVENT),
    ],
)
def test_how_an_answer_can_end(stream: bytes, fault: Fault | None) -> None:
    reading = answer()
    told = reading.feed(stream) + reading.close()
    assert reading.fault is fault
    assert bool(reading.message) == (fault is not None)
    assert told.endswith(DONE) == (fault is None)
    assert b'"error"' not in told


def test_an_empty_stop_is_told_once_others_have_spoken() -> None:
    told = answer().feed(chunk({}, "stop") + text("a", "stop", 1) + DONE)
    assert [(c["index"], c["finish_reason"]) for c in choices(told)] == [(0, "stop"), (1, "stop")]


def test_a_finish_told_twice_is_told_on_once() -> None:
    told = answer().feed(text("a", "stop") + chunk({}, "stop", usage=USAGE) + text("late", "stop"))
    assert [c["finish_reason"] for c in choices(told)] == ["stop", None]


@pytest.mark.parametrize(
    ("error", "early", "late"),
    [
        ({"message": "boom", "code": 500}, Fault.ERROR_EVENT, Fault.ERROR_EVENT),
        ("boom", Fault.ERROR_EVENT, Fault.ERROR_EVENT),
        ({"message": "boom", "code": 429}, Fault.BUSY, Fault.ERROR_EVENT),
        (
            {"message": "No instance found for model boom", "code": 404},
            Fault.NOT_PLACED,
            Fault.ERROR_EVENT,
        ),
    ],
)
def test_an_error_event_ends_the_reading(error: object, early: Fault, late: Fault) -> None:
    for before, fault in ((b"", early), (text("a"), late)):
        reading = answer("C")
        told = reading.feed(before + event({"error": error}) + text("b") + DONE)
        assert reading.fault is fault
        assert reading.message.endswith("boom")
        assert len(chunks(told)) == bool(before)
        assert reading.feed(DONE) == reading.close() == b""


def test_an_event_named_error_is_one() -> None:
    reading = answer()
    reading.feed(b'event: error\ndata: {"message":"boom","retry_after":3}\n\n')
    assert (reading.fault, reading.message, reading.retry_after) == (Fault.ERROR_EVENT, "boom", 3.0)
    silent = answer()
    silent.feed(b"event: error\ndata: {}\n\n")
    assert silent.message == "the upstream reported an error"


@pytest.mark.parametrize("before", [b"", text("a", "stop")])
@pytest.mark.parametrize(
    "bad",
    [
        *(event({"error": nothing}) for nothing in ("", False, 0, dict[str, str](), list[str]())),
        b"event: error\ndata: out of memory\n\n",
        b'event: error\ndata: {"error":null}\n\n',
        b"event: error\ndata: \xff\n\n",
    ],
)
def test_an_error_is_one_by_being_there(before: bytes, bad: bytes) -> None:
    reading = answer()
    assert not reading.feed(before + bad + DONE).endswith(DONE)
    assert (reading.fault, reading.malformed) == (Fault.ERROR_EVENT, 0)
    assert reading.message == "the upstream reported an error"


def test_an_error_that_is_null_is_none() -> None:
    told = answer().feed(chunk({"content": "a"}, "stop", error=None) + DONE)
    assert told.endswith(DONE)


@pytest.mark.parametrize(("asked", "fault"), [(1, None), (2, None), (3, Fault.UNFINISHED)])
def test_fewer_choices_than_asked_are_no_whole_answer(asked: int, fault: Fault | None) -> None:
    reading = streamed(choices=asked)
    told = reading.feed(text("a", "stop") + text("b", "stop", 1) + DONE)
    assert (reading.fault, told.endswith(DONE)) == (fault, fault is None)


def test_words_about_a_key_are_not_kept() -> None:
    reading = answer()
    reading.feed(event({"error": {"message": "wrong key sk-made-up", "code": 401}}))
    assert (reading.fault, reading.message) == (Fault.BAD_KEY, "")


@pytest.mark.parametrize("bad", [b"data: {\n\n", b"data: 5\n\n", b"data: \xff\n\n"])
def test_a_malformed_event_that_held_nothing_is_skipped_and_counted(bad: bytes) -> None:
    reading = answer()
    told = reading.feed(text("a") + bad + text("b", "stop") + DONE)
    assert reading.malformed == 1
    assert reading.fault is None
    assert [cast("Json", c["delta"])["content"] for c in choices(told)] == ["a", "b"]


def test_a_flood_of_events_that_hold_nothing_is_a_fault_and_is_not_read_on() -> None:
    reading = answer()
    reading.feed(text("a") + b"data:\n\n" * MAX_MALFORMED)
    assert (reading.fault, reading.malformed) == (None, MAX_MALFORMED)
    reading.feed(b"data:\n\n" * 50_000)
    assert (reading.fault, reading.malformed) == (Fault.MALFORMED, MAX_MALFORMED + 1)


MALFORMED = [
    b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n',
    b'data: {"choices":[{"delta":{"content":"x","odd":"\xff"}}]}\n\n',
    b'data: {"choices":[{"delta":{"content":"tru\n\n',
    b'data: {"choices":5}\n\n',
    b'data: {"choices":[{"delta":"x"}]}\n\n',
    chunk({"tool_calls": "x"}),
    chunk({"tool_calls": [None]}),
    chunk({"tool_calls": [dict[str, str]()] * 1025}),
    chunk({"reasoning_details": [0] * 300_000}),
    b'data: {"choices":[%b{}]}\n\n' % (b"{}," * 128),
    b'data: {"choices":[%b{}]}\n\n' % (b"{}," * 300_000),
    b'data: {"choices":[{"delta":{"content":"x"}},{"delta":5}]}\n\n',
    b'data: {"choices":' + b"[" * 100_000 + b"\n\n",
    text("x", index=-1),
    text("x", index=128),
]


@pytest.mark.parametrize("before", [b"", text("a")])
@pytest.mark.parametrize("bad", MALFORMED)
def test_a_malformed_event_that_may_have_held_a_piece_is_a_fault(before: bytes, bad: bytes) -> None:
    reading = answer()
    told = reading.feed(before + bad + text("b", "stop") + DONE)
    assert (reading.fault, reading.malformed) == (Fault.MALFORMED, 1)
    assert len(chunks(told)) == bool(before)
    assert not told.endswith(DONE)


def test_an_oversized_event_is_a_fault() -> None:
    reading = answer()
    reading.feed(b"data: " + b"x" * (8 * 1024 * 1024 + 1))
    assert reading.fault is Fault.OVERSIZED


def test_prefill_progress_counts_where_it_moved() -> None:
    reading = answer("C")
    seen: list[tuple[int, int]] = []
    for said in (b"", b"x", b"0", b"5", b"5", b"9"):
        comment = b': prefill_progress {"PrefillProgressChunk":{"processed_tokens":%b}}\n\n' % said
        assert reading.feed(comment) == b""
        seen.append((reading.processed, reading.progressed))
    assert seen == [(0, 0), (0, 0), (0, 0), (5, 1), (5, 1), (9, 2)]


def test_comments_after_content_are_no_progress() -> None:
    reading = answer("C")
    reading.feed(text("a"))
    reading.feed(b': prefill_progress {"PrefillProgressChunk":{"processed_tokens":7}}\n\n')
    assert reading.progressed == 1


def test_the_model_shown_is_the_one_that_served() -> None:
    assert chunks(answer(asked="x").feed(event({"choices": [{"delta": {"content": "a"}}]})))[0][
        "model"
    ] == "x"  # fmt: skip
    assert chunks(answer(asked="x").feed(text("a")))[0]["model"] == "m"


def test_another_model_than_asked_is_a_fault_of_a_only() -> None:
    reading = answer("A", asked="llama-3.2-1b")
    assert reading.feed(text("a")) == b""
    assert reading.fault is Fault.WRONG_MODEL
    assert not reading.content
    other = answer("B", asked="short")
    assert other.feed(text("a"))


def test_a_is_ended_where_the_client_wants() -> None:
    reading = answer("A", max_tokens=2, stop=("never",))
    told = reading.feed(text("x") + text("y") + text("z"))
    assert [(c["delta"], c["finish_reason"]) for c in choices(told)] == [
        ({"role": "assistant", "content": "x"}, None),
        ({"content": "y"}, "length"),
    ]
    assert told.endswith(DONE)
    assert (reading.enough, reading.done, reading.fault) == (True, True, None)
    assert reading.close() == b""


def test_generation_a_says_nothing_after_its_finish_reason_and_is_not_waited_for() -> None:
    """It has no `[DONE]`: a connection that it then leaves open is no part of the answer."""
    reading = answer("A")
    assert not reading.feed(text("Hi")).endswith(DONE)
    assert not reading.done
    assert reading.feed(text("<|eot_id|>", "stop")).endswith(DONE)
    assert (reading.done, reading.enough, reading.fault) == (True, False, None)
    empty = answer("A")
    empty.feed(text("<|eot_id|>", "stop"))
    assert (empty.done, empty.fault) == (True, Fault.EMPTY)


def test_a_stop_at_the_very_beginning_is_no_empty_answer() -> None:
    reading = answer("A", stop=("x",))
    told = reading.feed(text("x"))
    assert reading.fault is None
    assert choices(told)[0]["finish_reason"] == "stop"


def test_a_that_says_only_its_end_mark_is_empty() -> None:
    reading = answer("A")
    assert reading.feed(chunk({"role": "assistant", "content": "<|eot_id|>"}, "stop")) == b""
    assert reading.close() == b""
    assert reading.fault is Fault.EMPTY


EVENTS = st.sampled_from(
    [
        text("a"),
        text("é"),
        text(""),
        text("", "stop"),
        text("b", "length", 1),
        chunk({"role": "assistant"}),
        chunk(None),
        event({"error": {"message": "x", "code": 503}}),
        event({"choices": [], "usage": USAGE}),
        b": keep-alive\n\n",
        b"data: {broken\n\n",
        DONE,
    ]
)


@given(
    parts=st.lists(EVENTS),
    cuts=st.lists(st.integers(0, 2000)),
    generation=st.sampled_from(["A", "B", "C", None]),
)
def test_the_cuts_of_the_network_change_nothing(
    parts: list[bytes], cuts: list[int], generation: Generation | None
) -> None:
    stream = b"".join(parts)
    whole = answer(generation, usage=True)
    told = whole.feed(stream) + whole.close()
    cut = answer(generation, usage=True)
    edges = [0, *sorted(min(place, len(stream)) for place in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(edges)]
    assert b"".join(map(cut.feed, pieces)) + cut.close() == told
    assert (cut.fault, cut.tokens, cut.progressed) == (whole.fault, whole.tokens, whole.progressed)
    assert told.endswith(DONE) == (whole.fault is None)
    chunks(told)


def odd(delta: bytes, more: bytes = b"") -> bytes:
    return b'data: {"choices":[{"index":null,"delta":%b%b}]}\n\n' % (delta, more)


PROBS = b'{"content":[{"token":"x","logprob":-Infinity,"top_logprobs":[]}]}'


@pytest.mark.parametrize("generation", ["A", "B", "C", None])
def test_json_that_is_nearly_right_is_read_as_it_was_meant(generation: Generation) -> None:
    """Python's `json` writes all of these; a word in them is a word of the answer."""
    reading = answer(generation)
    told = reading.feed(
        odd(b'{"role":null,"content":"a","deep":{"x":NaN}}')
        + odd(b'{"content":"\\ud83d"}')
        + odd(b'{"content":"\\ude00"}', b',"logprobs":%b' % PROBS)
        + odd(b'{"content":"\t!"}', b',"finish_reason":"stop"')
        + DONE
    )
    assert (reading.fault, reading.malformed, told.endswith(DONE)) == (None, 0, True)
    found = choices(told)
    said = "".join(str(cast("Json", one["delta"])["content"]) for one in found)
    assert said == "a\ud83d\ude00\t!"
    assert b'"logprob":-9999.0' in told
    assert cast("Json", found[0]["delta"])["role"] == "assistant"
    assert "role" not in cast("Json", found[1]["delta"])


def test_what_is_nearly_right_and_large_is_malformed() -> None:
    reading = answer()
    reading.feed(odd(b'{"content":"%b","x":NaN}' % (b"x" * MAX_LENIENT_BYTES)))
    assert reading.fault is Fault.MALFORMED
    named = answer()
    named.feed(odd(b'{"content":"x","\\ud83d":NaN}'))
    assert named.fault is Fault.MALFORMED
    nameless = answer(asked="asked")
    told = nameless.feed(b'data: {"model":"\\ud83d","choices":[{"delta":{"content":"x"}}]}\n\n')
    assert chunks(told)[0]["model"] == "asked"
    other = answer()
    other.feed(b"data: [NaN]\n\n")
    assert (other.fault, other.malformed) == (None, 1)


@pytest.mark.parametrize(
    "last",
    [
        chunk({}, "error"),
        chunk({}, "network_error"),
        chunk({}, "insufficient_system_resource"),
        chunk({}, "abort"),
        chunk({}, "ERROR"),
        event({"choices": [{"finish_reason": "stop",
                            "native_finish_reason": "error"}]}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", [b"", text("a")])
def test_an_end_that_says_error_is_no_end(before: bytes, last: bytes) -> None:
    reading = answer()
    assert not reading.feed(before + last + DONE).endswith(DONE)
    assert reading.fault is Fault.ERROR_EVENT


def test_a_native_reason_beside_another_one_is_harmless() -> None:
    reading = answer()
    reading.feed(text("a"))
    last = {"finish_reason": "stop", "native_finish_reason": "end_turn"}
    assert reading.feed(event({"choices": [last]}) + DONE).endswith(DONE)


def test_logprobs_and_unknown_members_without_a_word_are_kept() -> None:
    reading = answer()
    probs = {"content": [{"token": "", "logprob": -1.0, "bytes": [240], "top_logprobs": []}]}
    piece = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    assert reading.feed(event({"choices": [piece | {"logprobs": probs}]})) == b""
    assert reading.feed(chunk({"content": "", "annotations": [{"type": "url"}]})) == b""
    assert reading.feed(chunk({"content": "", "annotations": list[Json]()})) == b""
    assert (reading.content, reading.tokens) == (False, 0)
    told = choices(reading.feed(text("a") + text("", "stop") + DONE))
    assert [one.get("logprobs") for one in told] == [probs, None, None, None]
    assert cast("Json", told[1]["delta"])["annotations"] == [{"type": "url"}]
    after = reading = answer()
    after.feed(text("a", "stop"))
    assert choices(after.feed(event({"choices": [piece | {"logprobs": probs}]})))


def test_what_comes_before_the_first_word_is_bounded() -> None:
    reading = answer()
    probs = {"content": [{"token": "x" * 300_000}]}
    for index in range(4):
        reading.feed(event({"choices": [{"index": index, "logprobs": probs}]}))
    assert reading.fault is Fault.OVERSIZED


def beside(told: bytes, name: str) -> list[object]:
    return [one.get(name) for one in chunks(told)]


def test_members_beside_the_choices_are_passed_on() -> None:
    """As Perplexity, OpenRouter, OpenAI and Azure send them."""
    reading = answer(usage=True)
    told = reading.feed(
        event({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]})
        + chunk({"role": "assistant"}, citations=["https://x"], provider="Y", usage=None)
        + chunk({"content": "a"}, citations=["https://x"], system_fingerprint=None)
        + chunk({"content": "b"}, citations=["https://x"], search_results=[{"title": "t"}])
        + chunk({"content": "c"}, "stop", citations=["https://z"])
        + event({"choices": [], "usage": USAGE, "x_groq": {"id": "r"}, "object": "y"})
        + DONE
    )
    assert beside(told, "citations") == [["https://x"]] * 2 + [["https://z"], None]
    assert beside(told, "prompt_filter_results") == [[{"prompt_index": 0}], None, None, None]
    assert beside(told, "search_results") == [None, [{"title": "t"}], None, None]
    assert beside(told, "x_groq") == [None, None, None, {"id": "r"}]
    assert b"system_fingerprint" not in told
    assert {one["object"] for one in chunks(told)} == {"chat.completion.chunk"}


def test_members_of_a_last_event_come_though_no_usage_was_asked_for() -> None:
    told = answer().feed(text("a", "stop") + event({"choices": [], "citations": ["u"]}) + DONE)
    assert beside(told, "citations") == [None, ["u"]]
    assert chunks(told)[-1]["choices"] == []


def test_too_much_beside_the_choices_is_a_fault() -> None:
    for many in ({f"n{n}": 1 for n in range(300)}, {"a": "x" * 5_000_000, "b": "x" * 2_900_000}):
        reading = answer()
        reading.feed(event(cast("Json", {"choices": None} | many)))
        reading.feed(event({"choices": [], "c": "x" * 1_000_000}))
        assert reading.fault is Fault.OVERSIZED
    odd_one = answer()
    odd_one.feed(b'data: {"choices":[],"a":NaN,"b":[1e999]}\n\n')
    assert beside(odd_one.feed(text("x")), "b") == [[None]]


def test_what_a_says_of_itself_beside_its_choices_is_no_part_of_the_answer() -> None:
    assert beside(answer("A").feed(chunk({"content": "a"}, system_fingerprint="exo_0.0.1")),
                  "system_fingerprint") == [None]  # fmt: skip
