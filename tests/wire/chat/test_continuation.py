"""A plain text goes on at another target without a lost or a repeated character, or not at all."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.continuation import MOST_TEXT, OPENING, Splice, Transcript, go_on
from exo_supervisor.wire.chat.piece import Delta, Piece, Usage
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.chat.request import ChatRequest
from exo_supervisor.wire.openai.inbound import read_chat
from exo_supervisor.wire.openai.stream_writer import DONE, StreamWriter
from tests.wire.reading import read_into, streamed

SAID = "The Rhine rises in the Alps and flows through six countries to the sea."


EMPTY = Raw(b"{}")


def transcript(
    *pieces: str | list[object] | Delta | None, finish: str | None = None, index: int = 0
) -> Transcript:
    said = Transcript()
    for piece in pieces:
        delta = piece if isinstance(piece, Delta) else Delta(content=piece)
        said.note(Piece(delta, EMPTY, index, finish))
    return said


def chat(**more: object) -> ChatRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": "Tell me."}], **more}
    return read_chat(json.dumps(body).encode())


def joined(said: str, *pieces: str) -> tuple[str, bool]:
    seam, got = Splice(said), ""
    for place, piece in enumerate(pieces):
        delta = Delta(role="assistant", content=piece)
        seam.push(delta, last=place == len(pieces) - 1)
        assert delta.role is None
        assert isinstance(delta.content, str)
        got += delta.content
        if seam.broken:
            break
    return got, seam.broken


def test_a_transcript_is_what_was_said() -> None:
    said = transcript("The ", "", None, "Rhine")
    assert (said.text(), said.pieces, said.plain) == ("The Rhine", 2, True)


@pytest.mark.parametrize(
    "piece",
    [
        Delta(content="x", reasoning_content="hm"),
        Delta(tool_calls=[{"index": 0}]),
        Delta(refusal="no"),
        Delta(content=[{"type": "text", "text": "x"}]),
    ],
)
def test_what_is_no_plain_text_is_not_gone_on_with(piece: Delta) -> None:
    assert not transcript("a", piece, "b").plain


def test_neither_is_an_end_another_choice_or_too_long_a_text() -> None:
    assert not transcript("a", finish="stop").plain
    assert not transcript("a", index=1).plain
    assert transcript("x" * MOST_TEXT).plain
    assert not transcript("x" * MOST_TEXT, "x").plain


def test_the_rest_is_asked_for_behind_what_was_said() -> None:
    asked = chat(max_tokens=10, max_completion_tokens=20, temperature=0.5)
    rest = go_on(asked, transcript("The ", "Rhine"))
    assert rest is not None
    body = {name: json.loads(bytes(raw)) for name, raw in rest.fields.items()}
    assert body == {
        "model": "m",
        "messages": [
            {"role": "user", "content": "Tell me."},
            {"role": "assistant", "content": "The Rhine"},
        ],
        "max_tokens": 18,
        "max_completion_tokens": 18,
        "temperature": 0.5,
    }
    assert rest.max_tokens == 18
    assert json.loads(bytes(asked.fields["max_tokens"])) == 10
    unlimited = go_on(chat(), transcript("The "))
    assert unlimited is not None
    assert unlimited.max_tokens is None


@pytest.mark.parametrize(
    "more",
    [
        {"stop": ["x"]},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
        {"n": 2},
        {"max_tokens": 2},
        {"messages": [{"role": "assistant", "content": "Once"}]},
    ],
)
def test_what_cannot_be_joined_faithfully_is_not_asked_for(more: dict[str, object]) -> None:
    assert go_on(chat(**more), transcript("a", "b")) is None
    assert go_on(chat(), transcript("a", "b")) is not None


def test_nothing_said_and_nothing_plain_is_not_gone_on_with() -> None:
    assert go_on(chat(), Transcript()) is None
    assert go_on(chat(), transcript("a", Delta(refusal="no"))) is None


def test_a_continuation_is_passed_on_as_soon_as_it_is_none_of_the_beginning() -> None:
    assert joined(SAID, " It", " is", " long.") == (" It is long.", False)
    assert joined(SAID, "The ", "Danube", " too.") == ("The Danube too.", False)
    assert joined(SAID, "The ") == ("The ", False), "an end decides, too"


def test_a_repetition_is_known_and_none_of_it_shown() -> None:
    assert joined(SAID, *(SAID[at] for at in range(len(SAID)))) == ("", True)
    assert joined("Hi", "H", "i there") == ("", True)
    assert joined(SAID, SAID[:OPENING]) == ("", True)


def test_a_thought_or_a_call_is_no_continuation() -> None:
    for delta in (Delta(reasoning_content="hm"), Delta(tool_calls=[{"index": 0}])):
        seam = Splice(SAID)
        seam.push(delta, last=False)
        assert seam.broken


def test_odd_contents_count_as_nothing() -> None:
    seam, delta = Splice(SAID), Delta(content=["a"])
    seam.push(delta, last=False)
    assert (delta.content, seam.broken) == ("", False)


@given(said=st.text(min_size=1, max_size=80), rest=st.text(max_size=80), cuts=st.data())
def test_no_character_is_lost_or_repeated(said: str, rest: str, cuts: st.DataObject) -> None:
    places = sorted(cuts.draw(st.lists(st.integers(0, len(rest)), max_size=5)))
    edges = [0, *places, len(rest)]
    pieces = [rest[a:b] for a, b in pairwise(edges)]
    got, broken = joined(said, *pieces)
    assert broken == rest.startswith(said[:OPENING])
    assert got == ("" if broken else rest)


def event(content: str | None, finish: str | None = None) -> bytes:
    delta = {} if content is None else {"role": "assistant", "content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def resumed(
    *events: bytes, transcript: Transcript | None = None
) -> tuple[Reader, list[dict[str, object]]]:
    writer = StreamWriter(
        id="i", created=1, joined=True, transcript=transcript,
        mark=b',"supervisor":{"continued":1}',
    )  # fmt: skip
    answer = read_into(writer, "C", seam=Splice("Once upon"))
    out = b"".join(answer.feed(each) for each in events)
    lines = [line for line in out.split(b"\n\n") if line and line != DONE.strip()]
    return answer, [json.loads(line.removeprefix(b"data: ")) for line in lines]


def test_a_resumed_answer_has_no_second_role_and_its_last_chunk_is_marked() -> None:
    said = Transcript()
    events = event(" a"), event(" time."), event(None, "stop"), DONE
    answer, chunks = resumed(*events, transcript=said)
    assert (answer.done, answer.fault) == (True, None)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]  # type: ignore[index]
    assert deltas == [{"content": " a"}, {"content": " time."}, {}]
    assert [chunk.get("supervisor") for chunk in chunks] == [None, None, {"continued": 1}]
    assert said.text() == " a time."


def test_a_target_that_begins_anew_is_a_fault_of_its_own() -> None:
    answer, chunks = resumed(event("Once"), event(" upon"), event(" a"))
    assert (answer.fault, chunks) == (Fault.BEGAN_ANEW, [])


def test_a_raw_delta_is_written_anew_at_the_seam() -> None:
    answer, chunks = resumed(event("On"), event("ly so."), event(None, "stop"), DONE)
    assert answer.fault is None
    assert [c["choices"][0]["delta"].get("content") for c in chunks] == ["Only so.", None]  # type: ignore[index]


def test_what_is_too_long_to_go_on_with_is_not_kept() -> None:
    """A long answer would otherwise be held in memory until its end."""
    said = transcript("x" * MOST_TEXT, "y", "z" * MOST_TEXT)
    assert not said.plain
    assert len(said.text()) == MOST_TEXT
    assert said.pieces == 3


def test_a_rest_of_nothing_is_a_whole_answer() -> None:
    """The first target had said everything but that it was done."""
    answer, chunks = resumed(event(None, "stop"), DONE)
    assert (answer.done, answer.fault) == (True, None)
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == ["stop"]  # type: ignore[index]


@pytest.mark.parametrize(("prompt", "shown"), [(12, 9), (2, 0)])
def test_the_usage_is_that_of_the_whole_answer(prompt: int, shown: int) -> None:
    answer = streamed(usage=True, seam=Splice("Once"), before=3)
    usage = {"prompt_tokens": prompt, "completion_tokens": 4, "total_tokens": prompt + 4}
    told = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
    for each in (event(" a"), event(None, "stop"), told):
        answer.feed(each)
    assert answer.usage == Usage(shown, 7, shown + 7)
    assert json.loads(answer.usage_text)["total_tokens"] == shown + 7
