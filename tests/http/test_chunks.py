"""A read that is one whole chunk may go by the parser, and an answer reads the same."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exo_supervisor.http.chunks import CHUNKS, LONGEST, NO_CHUNK, is_one
from exo_supervisor.http.state import State
from tests.http.wire import Heard, Wired

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\n"
ASK = b"POST / HTTP/1.1\r\nhost: n:1\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Taking(Heard):
    """Takes chunks once it was told of a part of the body; `taken` counts them."""

    def __init__(self, wired: Wired) -> None:
        super().__init__()
        self.body = b""
        self._wired, self.taken = wired, 0

    def take(self, data: bytes, head: bytes, size: int) -> bool:
        """Take whatever has the head and the end of a chunk."""
        whole = data.startswith(head) and data.endswith(b"\r\n")
        if whole:
            assert len(head) + size + 2 == len(data)
            self.body += data[len(head) : -2]
            self.taken += 1
        return whole

    def data(self, data: bytes) -> None:
        super().data(data)
        if (call := self._wired.connection.call) is not None:
            call.take_chunk = self.take


def fed(
    pieces: list[bytes], make: Callable[[Wired], Heard] = Taking
) -> tuple[Heard, tuple[object, ...]]:
    """Feed an answer, and tell what came of it and of the connection."""
    with Wired() as wired:
        heard = make(wired)
        wired.send(heard, ASK, b"")
        for piece in pieces:
            if wired.connection.state is not State.CLOSED:
                wired.connection.data_received(piece)
        if wired.connection.state is not State.CLOSED:
            wired.connection.eof_received()
        return heard, (heard.story, wired.connection.state, wired.rests, wired.ends)


def same(pieces: list[bytes]) -> int:
    """Compare with one who takes no chunks; return how many went by the parser."""
    heard, came = fed(pieces)
    _, parsed = fed(pieces, lambda _: Heard())
    assert came == parsed
    assert isinstance(heard, Taking)
    return heard.taken


def test_a_length_tells_the_head_of_the_one_chunk_that_has_it() -> None:
    fits = {len(chunk(bytes(size))): size for size in range(1, LONGEST)}
    for length, (head, size) in enumerate(CHUNKS):
        assert size == fits.get(length, 0)
        assert head == (b"%x\r\n" % size if size else b"")
    assert [length for length in range(6, LONGEST) if CHUNKS[length] == NO_CHUNK] == [21, 262]


def test_chunks_of_a_read_each_go_by_the_parser_from_the_third_on() -> None:
    """The first makes their taker known, the second where the parser stands."""
    pieces = [HEAD, *[chunk(b"data: %d" % n) for n in range(9)], END]
    assert same(pieces) == 7


@pytest.mark.parametrize(
    ("odd", "taken"),
    [
        ([chunk(b"x") * 2], 5),
        ([chunk(b"x")[:2], chunk(b"x")[2:]], 5),
        ([b"1", b"0\r\n" + b"x" * 16 + b"\r\n"], 5),
        ([b"0", chunk(b"x")], 6),
        ([b"1;a", b"1\r\nx\r\n"], 6),
        ([chunk(b"1\r\nx\r\n")], 7),
        ([b"6\r\n", b"1\r\nx\r\n", b"\r\n"], 5),
        ([b"01\r\nx\r\n"], 5),
        ([b"1;a=b\r\nx\r\n"], 5),
        ([b"A\r\n" + b"x" * 10 + b"\r\n"], 5),
        ([chunk(bytes(LONGEST))], 5),
        ([chunk(bytes(15)), chunk(bytes(16)), chunk(bytes(255)), chunk(bytes(256))], 10),
        ([b"x" * 21], 2),
        ([b"1\nx\r\n"], 2),
        ([b"1\r\nx\n"], 2),
        ([b"2\r\nx\r\n"], 2),
        ([END], 2),
        ([b"0\r\na: 1\r\n", b"1\r\nx\r\n"], 2),
    ],
)
def test_what_is_no_whole_chunk_is_parsed(odd: list[bytes], taken: int) -> None:
    """Behind it, the parser has to be seen between two chunks once more."""
    words = [chunk(b"word")] * 4
    assert same([HEAD, *words, *odd, *words, END]) == taken


SAID = st.sampled_from(
    [b"x", b"1", b"data", b"1\r\nx\r\n", b"a\r\n", b"3\r\n3\r\n3", b"\r\n", b"0\r\n\r\n"]
)
ODD = st.sampled_from(
    [
        b"1",
        b"0",
        b"a;",
        b";",
        b"\r\n",
        b"\n",
        b"1\r\n",
        b"0\r\n",
        END,
        b"a: 1\r\n",
        b"3\r\n" * 4,
        HEAD,
    ]
)


@given(
    head=st.sampled_from([HEAD, LENGTH % 40, ENDLESS]),
    parts=st.lists(SAID.map(chunk) | SAID.map(chunk) | ODD, max_size=12),
    cuts=st.none() | st.lists(st.integers(0, 200), max_size=6),
)
@example(head=LENGTH % 40, parts=[b"x", b"3\r\n3\r\n\r\n", b"3\r\n3\r\n\r\n"], cuts=None)
@example(
    head=HEAD, parts=[*[chunk(b"x")] * 3, b"1\r\n", b"1\r\n1\r\n", chunk(b"2\r\n2\r\n")], cuts=None
)
@example(head=HEAD, parts=[chunk(b"x"), b"8\r\n", b"3\r\n3\r\n\r\n", b"\r\n"], cuts=None)
def test_any_answer_however_it_is_cut_is_read_as_by_the_parser_alone(
    head: bytes, parts: list[bytes], cuts: list[int] | None
) -> None:
    whole = b"".join(parts)
    if cuts is not None:
        edges = sorted({0, len(whole)} | {min(at, len(whole)) for at in cuts})
        parts = [whole[a:b] for a, b in pairwise(edges)]
    same([head, *[part for part in parts if part]])


def test_a_piece_that_may_stand_elsewhere_in_a_read_proves_nothing() -> None:
    for body in (b"3\r\n", b"1", b"5\r\n5\r"):
        assert not is_one(chunk(body), [body])
    assert is_one(chunk(b"abc"), [b"abc"])
    assert not is_one(chunk(b"abc"), [b"ab"])
    assert not is_one(chunk(b"abc"), [b"a", b"bc"])


def test_the_next_answer_of_a_connection_is_parsed_from_its_beginning() -> None:
    with Wired() as wired:
        for _ in range(2):
            heard = Taking(wired)
            wired.send(heard, ASK, b"")
            for piece in [HEAD, *[chunk(b"word")] * 4, END]:
                wired.connection.data_received(piece)
            assert (heard.body, heard.taken, heard.calls[-1]) == (b"word" * 4, 2, "end")


@pytest.mark.real_time
async def test_who_has_left_is_handed_no_chunk() -> None:
    with Wired() as wired:
        heard = Taking(wired)
        wired.send(heard, ASK, b"")
        for piece in [HEAD, *[chunk(b"word")] * 3]:
            wired.connection.data_received(piece)
        wired.connection.leave()
        wired.connection.data_received(chunk(b"late"))
        assert (heard.body, heard.taken) == (b"word" * 3, 1)
        wired.connection.data_received(END)
        assert (wired.connection.state, wired.rests) == (State.IDLE, 1)
