"""Events that only add text are read by a template, and byte for byte as they are in full."""

import json
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Unpack

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exo_supervisor.core.names import Generation
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.continuation import Splice, Transcript
from exo_supervisor.wire.chat.piece import Writer
from exo_supervisor.wire.chat.stream_reader import StreamReader
from exo_supervisor.wire.exo.traits import TRAITS
from exo_supervisor.wire.openai.answer_writer import AnswerWriter
from exo_supervisor.wire.openai.chunk import LARGE
from exo_supervisor.wire.openai.reader import ChunkReader
from exo_supervisor.wire.openai.stream_writer import DONE, StreamWriter
from tests.wire.anthropic import client as messages
from tests.wire.ollama import test_lines as ollama
from tests.wire.reading import Asked, Counting
from tests.wire.responses import client as responses
from tests.wire.test_recordings import ALL, STREAMS, generation


class InFull(ChunkReader):
    """Reads every event in full, and a read at once."""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, and look for no template in them."""
        return StreamReader.feed(self, data)

    def _learn(self, data: bytes, text: bytes, name: str) -> None:
        """Learn nothing."""

    def _take_plain(self, data: bytes) -> bool:  # noqa: ARG002
        """Take nothing for plain."""
        return False


def streams() -> Writer:
    return StreamWriter(id="ours", created=7, include_usage=True)


def gathers() -> Writer:
    return AnswerWriter(id="ours", created=7)


def small() -> Writer:
    return AnswerWriter(id="ours", created=7, most_bytes=2_000)


def lines() -> Writer:
    return ollama.reading().writer


WRITERS = {"stream": streams, "body": gathers, "small": small}
OTHERS = {"messages": messages.stream_writer, "responses": responses.stream_writer, "ollama": lines}
BODIES = {"messages": messages.answer_writer, "responses": responses.answer_writer}
EVERY = WRITERS | OTHERS | {f"{name} body": make for name, make in BODIES.items()}
THOUGHTS = ["reasoning_content", "reasoning"]
Outcome = tuple[object, ...]


def fed(reader: ChunkReader, data: bytes) -> bytes:
    return reader.feed(data)


def fed_whole(reader: ChunkReader, data: bytes) -> bytes:
    """Feed a read as one whole chunk of HTTP, and by itself if it is not taken so."""
    head = b"%x\r\n" % len(data)
    written = reader.take_texts(b"%b%b\r\n" % (head, data), head, len(data))
    return reader.feed(data) if written is None else written


def outcome(
    reader: ChunkReader, body: bytes, cuts: Iterable[int], *, clean: bool,
    feed: Callable[[ChunkReader, bytes], bytes] = fed,
) -> Outcome:  # fmt: skip
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    told = b"".join(feed(reader, body[a:b]) for a, b in pairwise(edges))
    told += reader.close() if clean else b""
    whole = reader.result() if reader.done and reader.fault is None else []
    if not isinstance(reader.writer, StreamWriter | AnswerWriter):
        return *map(decoded, (told, b"".join(whole))), *facts(reader)
    return told, b"".join(whole), *facts(reader)


def decoded(told: bytes) -> list[object]:
    """Read what dialects tell that write each text anew in full, and copy it else."""
    lines = [each.removeprefix("data: ") for each in told.decode().split("\n")]
    return [json.loads(each) if each.startswith("{") else each for each in lines]


def facts(reader: ChunkReader) -> Outcome:
    return (
        reader.fault, reader.message, reader.tokens, reader.progressed,
        reader.content, reader.malformed, reader.served_model, reader.usage, reader.done,
    )  # fmt: skip


def same(
    body: bytes, kind: Generation | None, cuts: Iterable[int], make: Callable[[], Writer],
    *, clean: bool = True, **asked: Unpack[Asked],
) -> Counting:  # fmt: skip
    traits = TRAITS[kind]
    short = Counting(writer=make(), traits=traits, **asked)
    full = InFull(writer=make(), traits=traits, **asked)
    whole = Counting(writer=make(), traits=traits, **asked)
    cuts = list(cuts)
    wanted = outcome(full, body, cuts, clean=clean)
    assert outcome(short, body, cuts, clean=clean) == wanted
    assert outcome(whole, body, cuts, clean=clean, feed=fed_whole) == wanted
    assert whole.short == short.short
    return short


def events(body: bytes) -> list[int]:
    return [place + 2 for place in range(len(body) - 1) if body.startswith(b"\n\n", place)]


@pytest.mark.parametrize("make", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("name", STREAMS)
def test_a_recording_is_read_as_in_full(name: str, make: Callable[[], Writer]) -> None:
    one = ALL[name]
    ends = events(one.body)
    ways: list[list[int]] = [[], ends, ends[::3], list(range(0, len(one.body), 61))]
    kinds: set[Generation | None] = {generation(name), None}
    for kind in kinds:
        for cuts in ways:
            same(one.body, kind, cuts, make, clean=one.clean)


def thoughtful(body: bytes, name: str) -> bytes:
    """Make the first half of a recording's words thoughts: two members change their names."""
    middle, names = len(body) // 2, {b"content": name.encode(), name.encode(): b"content"}
    first = re.sub(rb'"(\w+)"(?=: ?)', lambda m: b'"%b"' % names.get(m[1], m[1]), body[:middle])
    return first + body[middle:]


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("name", STREAMS)
def test_a_recording_of_thoughts_is_read_as_in_full(name: str, make: Callable[[], Writer]) -> None:
    one = ALL[name]
    for member in THOUGHTS:
        body = thoughtful(one.body, member)
        for cuts in ([], events(body)):
            same(body, generation(name), cuts, make, clean=one.clean)


@given(
    name=st.sampled_from(STREAMS),
    member=st.sampled_from(THOUGHTS),
    cuts=st.lists(st.integers(0, 20_000)),
    make=st.sampled_from(list(EVERY.values())),
)
def test_a_recording_of_thoughts_is_read_as_in_full_however_it_is_cut(
    name: str, member: str, cuts: list[int], make: Callable[[], Writer]
) -> None:
    body = thoughtful(ALL[name].body, member)
    same(body, generation(name), cuts, make, clean=ALL[name].clean)


@given(
    name=st.sampled_from(STREAMS),
    cuts=st.lists(st.integers(0, 20_000)),
    make=st.sampled_from(list(WRITERS.values())),
)
def test_a_recording_is_read_as_in_full_however_it_is_cut(
    name: str, cuts: list[int], make: Callable[[], Writer]
) -> None:
    same(ALL[name].body, generation(name), cuts, make, clean=ALL[name].clean)


def said(body: bytes) -> int:
    return body.count(b'"content":"') + body.count(b'"content": "')


@pytest.mark.parametrize("kind", ["B", "C", None])
@pytest.mark.parametrize("make", [streams, gathers])
@pytest.mark.parametrize("together", [1, 3, 1_000])
def test_recordings_take_the_short_way(
    kind: Generation | None, make: Callable[[], Writer], together: int
) -> None:
    """Of every stream with more than a few words all but a few events do."""
    for name in STREAMS:
        body = ALL[name].body
        if generation(name) == (kind or "C") and said(body) > 10:
            reader = same(body, kind, events(body)[::together], make, clean=ALL[name].clean)
            assert reader.short >= said(body) - 5, name


@pytest.mark.parametrize("member", THOUGHTS)
@pytest.mark.parametrize("kind", ["B", "C", None])
@pytest.mark.parametrize("make", [streams, gathers])
@pytest.mark.parametrize("together", [1, 1_000])
def test_thoughts_of_recordings_take_the_short_way(
    member: str, kind: Generation | None, make: Callable[[], Writer], together: int
) -> None:
    """What is learnt once more is the first content after the thoughts."""
    for name in STREAMS:
        told = said(ALL[name].body)
        if generation(name) == (kind or "C") and told > 10:
            body = thoughtful(ALL[name].body, member)
            reader = same(body, kind, events(body)[::together], make, clean=ALL[name].clean)
            assert reader.short >= told - 6, name


def chunk(delta: str, more: str = "") -> bytes:
    return b'{"id":"x","model":"m","choices":[{"index":0,"delta":%b%b}]}' % (
        delta.encode(), more.encode(),
    )  # fmt: skip


def content(word: str, member: str = "content") -> str:
    return f'{{"{member}":{word}}}'


def line(data: bytes) -> bytes:
    return b"data: %b\n\n" % data


def text(word: str, member: str = "content") -> bytes:
    return line(chunk(content(json.dumps(word), member)))


STOP = line(chunk("{}", ',"finish_reason":"stop"')) + DONE
CLOUDS = {
    "spaces": '{"id": "x", "choices": [{"delta": {"content": %s}, "index": 0}], "system": "fp"}',
    "role": '{"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":%s}}]}',
    "nulls": '{"choices":[{"index":0,"delta":{"content":%s,"refusal":null},"logprobs":null,'
             '"finish_reason":null}],"usage":null,"service_tier":"default"}',
    "native": '{"provider":"p","choices":[{"delta":{"role":"assistant","content":%s},"index":0,'
              '"native_finish_reason":null,"finish_reason":null}]}',
}  # fmt: skip
SHORT = {name: make for name, make in EVERY.items() if name not in ("small", "messages body")}


@pytest.mark.parametrize("member", THOUGHTS)
@pytest.mark.parametrize("kind", ["B", "C", None])
@pytest.mark.parametrize("make", SHORT.values(), ids=SHORT)
def test_thoughts_take_the_short_way_for_every_client(
    kind: Generation | None, make: Callable[[], Writer], member: str
) -> None:
    """All but the first of them, and the first content after them."""
    told = [text(f'{n} \u00e9"', member) for n in range(20)] + [text(f"{n}") for n in range(9)]
    body = b"".join(told) + STOP
    for cuts in ([], events(body), events(body)[::4]):
        assert same(body, kind, cuts, make).short == len(told) - 2


@pytest.mark.parametrize("member", ["content", *THOUGHTS])
@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_a_text_of_no_letter_is_told_to_no_client_that_gets_it_in_full(
    make: Callable[[], Writer], member: str
) -> None:
    told = [text(word, member) for word in ["a", "b", "", "c", "", "", "d"]]
    body = b"".join(told) + STOP
    for cuts in ([], events(body)):
        same(body, None, cuts, make)


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("member", THOUGHTS)
def test_words_and_thoughts_in_turn_stand_where_they_do_in_full(
    make: Callable[[], Writer], member: str
) -> None:
    """From some time on nothing is learnt, and what was learnt last is of another block."""
    turns = [text(f"{n}", "content" if n % 2 else member) for n in range(12)]
    body = b"".join(turns) + text("x", member) * 3 + text("y") * 3 + STOP
    for cuts in ([], events(body)):
        same(body, None, cuts, make)


FRAMES = [("data: ", "\n\n"), ("data:", "\n\n"), ("data: ", "\r\n\r\n"), ("data:", "\r\n\r\n")]


@pytest.mark.parametrize("make", [streams, gathers])
@pytest.mark.parametrize(("begin", "end"), FRAMES)
@pytest.mark.parametrize("shape", CLOUDS.values(), ids=CLOUDS)
def test_clouds_take_it_however_they_write(
    shape: str, begin: str, end: str, make: Callable[[], Writer]
) -> None:
    words = ["a", "b", "\u00e9\n", "", '"}', "\\", "a"]
    lines = [f"{begin}{shape % json.dumps(word)}{end}".encode() for word in words]
    body = b"".join(lines) + STOP
    for cuts in ([], [sum(map(len, lines[:n])) for n in range(1, 8)], range(0, len(body), 40)):
        assert same(body, None, cuts, make).short == len(words) - 1


@pytest.mark.parametrize(
    "odd",
    [
        line(chunk('{"content":"b"\r}')),
        line(chunk('{"content":\n"b"}')),
        line(chunk('{"content":"b","content":"c"}')),
        line(chunk('{"content":"b\\"}')),
        line(chunk('{"content":"b","c"}')),
        line(chunk('{"content":"b" }')) + line(chunk('{"content": "c"}')),
        line(chunk('{"content":"b","c\\"}')) + line(chunk('{"content":"d","}')),
        line(chunk('{"content":"b\xff"}')).replace(b"\xc3\xbf", b"\xff"),
        line(chunk('{"content":"\\ud83d"}')),
        line(chunk('{"content":5}')),
        line(chunk('{"content":null}')),
        line(chunk('{"content":"b","tool_calls":[{"index":0,"function":{"name":"f"}}]}')),
        line(chunk('{"content":"b","reasoning_content":"c"}')),
        line(chunk('{"reasoning_content":"c"}')),
        line(chunk('{"content":"b"}', ',"finish_reason":"error"')),
        b"event: error\n" + text("b"),
        b": a comment\n\n",
        b"data: [DONE]\n\n",
        line(chunk('{"content":"b"}').replace(b'"m"', b'"other"')),
        line(b'{"error":{"message":"boom"}}'),
        text("x" * 70_000),
        text("b")[:-1],
        text("b")[:20],
    ],
)
@pytest.mark.parametrize("make", WRITERS.values(), ids=WRITERS)
def test_what_is_not_of_the_shape_is_read_in_full(odd: bytes, make: Callable[[], Writer]) -> None:
    before = text("a") + text("b") + text("c")
    body = before + odd + text("d") + text("e") + STOP
    for cuts in ([], [len(before)], events(body)):
        assert same(body, None, cuts, make).short >= (2 if make is not small else 0)


WORD = st.text(max_size=5) | st.sampled_from(["a", "\\", '"', "\x7f", "\u2028"])


@pytest.mark.parametrize("kind", ["A", "B", "C", None])
@given(
    runs=st.lists(st.tuples(st.sampled_from(["content", *THOUGHTS]), st.lists(WORD))),
    ascii_only=st.booleans(),
    cuts=st.lists(st.integers(0, 1_000)),
    make=st.sampled_from(list(EVERY.values())),
)
@example(runs=[("content", ["a", "\\", "\\"])], ascii_only=True, cuts=[], make=streams)
def test_any_words_are_read_as_in_full(
    kind: Generation | None, runs: list[tuple[str, list[str]]], ascii_only: bool,  # noqa: FBT001
    cuts: list[int], make: Callable[[], Writer],
) -> None:  # fmt: skip
    told = [
        content(json.dumps(word, ensure_ascii=ascii_only), member)
        for member, words in runs
        for word in words
    ]
    body = b"".join(line(chunk(delta)) for delta in told) + STOP
    # written anew, a text may be shorter than it came, and is held as short as it is
    same(body, kind, cuts, gathers if make is small and kind == "B" else make)


def test_a_large_text_is_counted_before_it_is_decoded() -> None:
    for size, short in ((LARGE - 2, 2), (LARGE - 1, 1)):
        body = text("a") + text("b") + text("c" * size) + STOP
        assert same(body, None, events(body), streams).short == short


def test_a_template_that_nothing_fits_is_learnt_but_a_few_times() -> None:
    reader = Counting(writer=streams())
    body = b"".join(line(chunk('{"content":"a"}').replace(b'"x"', b'"x%d"' % n)) for n in range(40))
    reader.feed(body)
    assert (reader.short, vars_of(reader)) == (0, 8)
    assert (reader.fault, reader.tokens) == (None, 40)


def vars_of(reader: ChunkReader) -> object:
    return getattr(reader, "_lessons")  # noqa: B009  # how much was spent shows nowhere else


def test_a_client_whose_words_are_taken_down_gets_each_in_full() -> None:
    """Another target can go on only with what was noted."""
    said_so_far = Transcript()
    writer = StreamWriter(id="ours", created=7, transcript=said_so_far)
    reader = Counting(writer=writer)
    reader.feed(text("a") + text("b"))
    reader.feed(text("c"))
    assert (said_so_far.text(), reader.short) == ("abc", 0)


def test_a_text_that_stands_elsewhere_too_is_not_mistaken_for_it() -> None:
    """The last place of `"m"` is another member's: nothing is learnt of that event."""
    shape = '{"choices":[{"index":0,"delta":{"content":%s}}],"model":"m"}'
    body = b"".join(line(shape.replace("%s", json.dumps(word)).encode()) for word in "mmab")
    assert same(body + STOP, None, [], streams).short == 1


@pytest.mark.parametrize("beside", ['"\\u0001?"', '"plain"'])
def test_what_stands_beside_the_choices_goes_along(beside: str) -> None:
    shape = '{"choices":[{"index":0,"delta":{"content":%s}}],"cited":[' + beside + "]}"
    body = b"".join(line(shape.replace("%s", json.dumps(word)).encode()) for word in "abc")
    reader = same(body + STOP, None, [], streams)
    assert reader.short == (2 if beside == '"plain"' else 0)


def test_members_that_grow_are_not_passed_over() -> None:
    shape = '{"content":%s,"parts":["p"]}'
    body = b"".join(line(chunk(shape % json.dumps(word))) for word in "abc")
    assert same(body + STOP, None, [], gathers).short == 0
    assert same(body + STOP, None, [], streams).short == 2


def test_words_after_the_end_of_a_choice_are_judged_one_by_one() -> None:
    body = text("a") + text("b") + line(chunk("{}", ',"finish_reason":"stop"')) + text("c") * 3
    assert same(body + DONE, None, [], streams).short == 1


def several(*told: tuple[int, str, str | None]) -> bytes:
    """Make one chunk of several choices: the place, the text and the end of each."""
    choices = [
        {"index": index, "delta": {"content": word}, "finish_reason": finish}
        for index, word, finish in told
    ]
    shape = {"id": "x", "model": "m", "choices": choices}
    return line(json.dumps(shape, separators=(",", ":")).encode())


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize(
    "ends",
    [
        several((0, "c", "stop"), (1, "y", "stop")),
        several((1, "y", "stop"), (0, "c", "stop")),
        several((0, "c", None), (0, "d", "stop")),
    ],
)
def test_of_what_stands_behind_the_end_no_client_hears(
    ends: bytes, make: Callable[[], Writer]
) -> None:
    words = b"".join(several((0, word, None)) for word in ["a", "b"])
    late = several((0, "LATE", None))
    for body in (words + ends + DONE + late, words + ends + DONE + late * 3):
        for cuts in ([], events(body), [len(words)], [len(body) - len(late)]):
            reader = Counting(writer=make())
            told = outcome(reader, body, cuts, clean=True)
            assert b"LATE" not in b"".join(part for part in told if isinstance(part, bytes))
            same(body, None, cuts, make)


PLACES = st.tuples(
    st.sampled_from([0, 0, 0, 1, 2]),
    st.sampled_from(["", "a", "b"]),
    st.sampled_from([None, None, None, None, "stop", "length", "error"]),
)
CHUNKS = st.lists(PLACES, min_size=1, max_size=3).map(lambda told: several(*told))
WORDS = st.sampled_from(["", "a", "b"]).map(lambda word: several((0, word, None)))


@pytest.mark.parametrize("kind", ["B", "C", None])
@given(
    first=st.lists(WORDS, min_size=2, max_size=4),
    told=st.lists(WORDS | CHUNKS | st.just(DONE), max_size=12),
    tight=st.booleans(),
    cuts=st.lists(st.integers(0, 2_000)),
    make=st.sampled_from(list(EVERY.values())),
)
def test_several_choices_and_their_ends_are_read_as_in_full(
    kind: Generation | None, first: list[bytes], told: list[bytes], tight: bool,  # noqa: FBT001
    cuts: list[int], make: Callable[[], Writer],
) -> None:  # fmt: skip
    """Wherever the ends stand, whatever stands behind them, in one read and in several."""
    body = b"".join([*first, *told])
    same(body, kind, events(body) if tight else cuts, make, choices=2)


def test_another_name_on_the_way_is_not_passed_over() -> None:
    """Back at the first one, an event looks as if nothing had happened."""
    other = line(chunk(content('"c"')).replace(b'"m"', b'"other"'))
    reader = same(text("a") + text("b") + other + text("d"), None, [], streams, clean=False)
    assert reader.served_model == "m"


@pytest.mark.parametrize("asked", [Asked(max_tokens=3), Asked(stop=("d",))])
def test_what_ends_at_a_length_or_a_stop_for_its_target_is_read_in_full(asked: Asked) -> None:
    reader = same(b"".join(map(text, "abcde")), "A", [], streams, **asked)
    assert (reader.short, reader.enough, reader.tokens) == (0, True, 3)


def test_the_rest_of_another_target_s_answer_is_joined_in_full() -> None:
    """What repeats the beginning is known by all of it, not by its first event."""
    reader = Counting(writer=streams(), seam=Splice("Once upon"))
    reader.feed(b"".join(map(text, ["On", "ce", " upon"])))
    assert (reader.short, reader.fault) == (0, Fault.BEGAN_ANEW)


def test_of_what_is_only_nearly_json_nothing_is_learnt() -> None:
    odd = b"".join(line(chunk(content(f'"{word}"'), ',"took":NaN')) for word in "abc")
    assert same(odd + STOP, None, [], streams).short == 0


def test_nothing_is_taken_after_a_fault() -> None:
    reader = Counting(writer=streams())
    reader.feed(text("a"))
    reader.feed(text("b"))
    reader.fail(Fault.OVERSIZED, "no room")
    assert reader.feed(text("c")) == b""


def test_a_text_in_a_chunk_of_http_is_taken_only_with_its_head_and_its_end() -> None:
    """Of a head that is none, an end that is none, and two events in one, nothing is taken."""
    reader = Counting(writer=streams())
    first, data = text("a"), text("bc")
    reader.feed(first)
    head = b"%x\r\n" % len(data)
    size = len(data)
    for odd in (
        data, head + data, data + b"\r\n", head + data + b"\n", head + data + b"\n\r",
        head + data + b"\r\n\r\n", b"0" + head + data + b"\r\n", head.upper() + data,
        head + data[:-1] + b"\r\n", head + data[1:] + b"\r\n", head + data * 2 + b"\r\n",
        head + b"%b\r\n" % data.replace(b'"bc"', b"1234"), head + line(b"[DONE]") + b"\r\n",
    ):  # fmt: skip
        assert reader.take_texts(odd, head, size) is None
        assert reader.take_texts(odd, head, len(odd) - len(head) - 2) is None
    assert reader.take_texts(head + data + b"\r\n", head, size) is not None
    assert (reader.short, reader.tokens) == (1, 2)


@pytest.mark.parametrize(("begin", "end"), FRAMES)
def test_a_text_in_a_chunk_of_http_is_taken_whole_however_its_lines_are_framed(
    begin: str, end: str
) -> None:
    reader = Counting(writer=streams())
    first, data = (begin.encode() + chunk(content(word)) + end.encode() for word in ('"a"', '"bc"'))
    reader.feed(first)
    head = b"%x\r\n" % len(data)
    assert reader.take_texts(head + data + b"\r\n", head, len(data)) is not None
    assert (reader.short, reader.tokens) == (1, 2)
