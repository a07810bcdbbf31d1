"""What real nodes sent, replayed byte for byte."""

import json
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.names import Generation
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.judge import judge
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.openai.stream_writer import DONE
from tests.wire.reading import body_streamed, gathered, read_body, streamed
from tests.wire.sdk import judge_answer, judge_chunk

RECORDINGS = Path(__file__).parent.parent / "recordings"
OTHER_DIALECTS = ("claude", "responses", "ollama")


class Recorded(NamedTuple):
    """One recorded answer: `clean` where its body came to its proper end."""

    status: int
    media: str
    body: bytes
    clean: bool


def dechunked(body: bytes) -> tuple[bytes, bool]:
    """Take the chunk framing off; what breaks it ends the body uncleanly, as in any client."""
    parts: list[bytes] = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        try:
            length = int(size, 16)
        except ValueError:
            break
        if length == 0:
            return b"".join(parts), True
        parts.append(rest[:length])
        body = rest[length + 2 :]
    return b"".join(parts), False


def recorded(path: Path) -> Recorded | None:
    head, _, body = path.read_bytes().partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/"):
        return None
    lines = head.decode().lower().splitlines()
    named = dict(line.split(": ", 1) for line in lines[1:])
    clean = True
    if named.get("transfer-encoding") == "chunked":
        body, clean = dechunked(body)
    return Recorded(int(lines[0].split()[1]), named.get("content-type", ""), body, clean)


ALL = {
    path.relative_to(RECORDINGS).as_posix().removesuffix(".response.http"): found
    for path in sorted(RECORDINGS.rglob("*.response.http"))
    if not path.name.startswith(OTHER_DIALECTS) and (found := recorded(path))
}
STREAMS = [name for name, one in ALL.items() if one.media.startswith("text/event-stream")
           and b"choices" in one.body]  # fmt: skip
WHOLES = [
    name for name, one in ALL.items() if one.status == 200 and b'"chat.completion"' in one.body
    and one.media.startswith("application/json") and "bench" not in name
]  # fmt: skip
KILLED = ("kill9", "sigterm", "deleted", "cancelled", "killed", "sigstop", "closes", "cancel-")


def generation(name: str) -> Generation:
    return cast("Generation", name[4].upper())


def answer(name: str) -> Reader:
    return streamed(generation(name), usage=True, asked="")


def outcome(reading: Reader) -> tuple[object, ...]:
    return reading.fault, reading.tokens, reading.progressed, reading.content, reading.malformed


def replay(name: str, cuts: list[int]) -> tuple[Reader, bytes]:
    one, reading = ALL[name], answer(name)
    edges = [0, *sorted(min(cut, len(one.body)) for cut in cuts), len(one.body)]
    told = [reading.feed(one.body[a:b]) for a, b in pairwise(edges)]
    if one.clean:
        told.append(reading.close())
    return reading, b"".join(told)


def test_there_are_recordings_of_every_generation() -> None:
    assert {generation(name) for name in STREAMS} == {"A", "B", "C"}
    assert {generation(name) for name in WHOLES} == {"A", "B", "C"}


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_is_whole_or_a_fault(name: str) -> None:
    reading, told = replay(name, [])
    events = [one.removeprefix(b"data: ") for one in told.split(b"\n\n") if one]
    for one in events:
        if one != b"[DONE]":
            judge_chunk(json.loads(one))
    whole = reading.done and reading.fault is None
    assert told.endswith(DONE) == whole
    assert whole == (reading.finished and ALL[name].clean)
    assert reading.malformed == 0
    assert b'null,"' not in told.replace(b'"bytes":null,"', b"").replace(b'"logprobs"', b"")
    if not any(word in name.lower() for word in KILLED) and "timeout" not in name:
        assert whole, (reading.fault, name)


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_is_the_same_byte_by_byte(name: str) -> None:
    whole, told = replay(name, [])
    cut, told_cut = replay(name, list(range(len(ALL[name].body))))
    assert told_cut == told
    assert outcome(cut) == outcome(whole)


@given(name=st.sampled_from(STREAMS), cuts=st.lists(st.integers(0, 20_000)))
def test_a_recorded_stream_is_the_same_in_any_pieces(name: str, cuts: list[int]) -> None:
    assert replay(name, cuts)[1] == replay(name, [])[1]


@pytest.mark.parametrize("name", STREAMS)
def test_a_gathered_stream_holds_what_was_streamed(name: str) -> None:
    reading, told = replay(name, [])
    whole = gathered(generation(name), asked="")
    whole.feed(ALL[name].body)
    if ALL[name].clean:
        whole.close()
    assert outcome(whole) == outcome(reading)
    if reading.fault or not reading.done:
        return
    result = json.loads(b"".join(whole.result()))
    judge_answer(result)
    events = [one.removeprefix(b"data: ") for one in told.split(b"\n\n") if one]
    chunks = [json.loads(one) for one in events[:-1]]
    streamed = "".join(c["delta"].get("content", "") for one in chunks for c in one["choices"])
    assert result["choices"][0]["message"]["content"] == streamed
    assert result["usage"] == chunks[-1]["usage"]


@pytest.mark.parametrize("name", WHOLES)
def test_a_recorded_whole_answer_is_whole_or_unfinished(name: str) -> None:
    reading = body_streamed(generation(name), usage=True, asked="")
    told = read_body(ALL[name].body, reading)
    unfinished = b"finish_reason" not in ALL[name].body
    assert reading.fault is (Fault.UNFINISHED if unfinished else None)
    assert told.endswith(DONE) != unfinished


@pytest.mark.parametrize(
    ("name", "fault", "message"),
    [
        ("gen-b/solo/stream-runner-kill9-midstream", Fault.ERROR_EVENT, "Runner shutdown before"),
        ("gen-c/solo/stream-runner-kill9-midstream", Fault.ERROR_EVENT, "Runner shutdown before"),
        ("gen-b/solo/stream-instance-deleted-midstream", Fault.UNFINISHED, "the answer ended"),
        ("gen-c/solo/stream-SIGTERM-node-midstream", Fault.UNFINISHED, "the answer ended"),
    ],
)
def test_exos_own_ways_of_failing_are_faults(name: str, fault: Fault, message: str) -> None:
    reading, told = replay(name, [])
    assert reading.fault is fault
    assert reading.content
    assert reading.message.startswith(message)
    assert DONE not in told


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("gen-a/solo/chat-known-model-wrong-engine-stream", Fault.NOT_PLACED),
        ("gen-a/solo/timeout2-first-token-stream", Fault.BAD_STATUS),
        ("gen-a/solo/chat-bad-json", Fault.SERVER_ERROR),
        ("gen-b/solo/chat-no-instance-stream", Fault.NOT_PLACED),
        ("gen-c/solo/chat-no-instance", Fault.NOT_PLACED),
        ("gen-b/solo/pre-bad-json", Fault.REJECTED),
        ("gen-c/solo/pre-model-int", Fault.REJECTED),
        ("gen-b/solo/chat-stream", None),
        ("gen-a/solo/chat-stream", None),
    ],
)
def test_recorded_heads_are_judged(name: str, fault: Fault | None) -> None:
    one = ALL[name]
    found = judge(one.status, one.media, {}, one.body, exo=True, now_wall=0.0)
    assert (found.fault if found else None) is fault


def test_a_raw_head_inside_the_stream_of_a_breaks_its_framing() -> None:
    one = ALL["gen-a/solo/timeout2-stream"]
    assert not one.clean
    assert b"HTTP/1.1 408" not in one.body


def test_a_serves_its_default_model_and_is_caught() -> None:
    one = ALL["gen-a/solo/chat-stream"]
    reading = streamed("A", asked="llama-3.2-1b")
    assert reading.feed(one.body) == b""
    assert reading.fault is Fault.WRONG_MODEL
