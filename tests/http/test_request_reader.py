"""A request reads the same however it is cut, and where it ends is never in doubt."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.http.head import (
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    MAX_LINE_BYTES,
    BadHeadError,
    Head,
    read_head,
)
from exo_supervisor.http.request_reader import (
    MAX_DIGITS,
    MAX_KNOWN_BYTES,
    MAX_PIECES,
    BadBodyError,
    KnownHeads,
    RequestReader,
)

LINE = b"POST /x HTTP/1.1\r\n"
HOST = LINE + b"Host: a\r\n"
TE = b"transfer-encoding: chunked\r\n"
SHORT = HOST + b"content-length: 5\r\n\r\nhello"
CHUNKED = HOST + TE + b"\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
Story = tuple[bytes, bytes, dict[str, str], bytes]

GOOD: dict[str, bytes] = {
    "a length": SHORT,
    "no body": HOST + b"\r\n",
    "a length of more zeros than Python reads": HOST
    + b"content-length: "
    + b"0" * 4_400
    + b"5\r\n\r\nhello",
    "a length of nothing": HOST + b"content-length: 0\r\n\r\n",
    "chunks": CHUNKED,
    "chunks that say more": CHUNKED.replace(b"2\r\n", b'2;a="b;c"\r\n'),
    "trailers": CHUNKED[:-2] + b"X-Late: no header\r\n\r\n",
    "an empty line in a chunk": HOST + TE + b"\r\n9\r\nab\r\n\r\ncde\r\n0\r\n\r\n",
    "empty lines before it": b"\r\n\r\n\r\n" + SHORT,
    "an upgrade": LINE + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABk\r\ncontent-length: 2\r\n\r\nhi",
    "bytes of no ASCII": LINE + b"x-name: \xc3\xa9\xff\r\n\r\n",
    "blanks around a value": LINE + b"a:   b c \t\r\n\r\n",
    "the same name twice": LINE + b"a: 1\r\nA: 2\r\na:3\r\n\r\n",
    "another method": b"GET /x?a=b HTTP/1.1\r\n\r\n",
    "an old client that stays": b"POST /x HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
    "a whole URL": b"POST http://h/x HTTP/1.1\r\nhost: h\r\n\r\n",
}
BAD_HEADS: dict[str, bytes] = {
    "garbage": b"garbage\r\n\r\n",
    "TLS": b"\x16\x03\x01\0\0\0",
    "HTTP/0.9": b"GET /x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\n",
    "another version": b"GET /x HTTP/1.9\r\n\r\n",
    "two blanks": b"GET  /x HTTP/1.1\r\n\r\n",
    "a method in lower case": b"post /x HTTP/1.1\r\n\r\n",
    "CONNECT": b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n",
    "bare line feeds": SHORT.replace(b"\r\n", b"\n"),
    "one bare line feed": LINE + b"a: b\nc: d\r\n\r\n",
    "a folded line": LINE + b"a: b\r\n c\r\n\r\n",
    "a zero": LINE + b"a: b\0c\r\n\r\n",
    "a bell": LINE + b"a: b\ac\r\n\r\n",
    "no name": LINE + b": b\r\n\r\n",
    "a blank before the colon": LINE + b"content-length : 5\r\n\r\nhello",
    "two lengths": LINE + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "the same length twice": LINE + b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello",
    "a list of lengths": LINE + b"content-length: 5, 5\r\n\r\nhello",
    "a signed length": LINE + b"content-length: +5\r\n\r\nhello",
    "a length of nothing at all": LINE + b"content-length:\r\n\r\n",
    "a length beyond all numbers": LINE + b"content-length: 99999999999999999999999\r\n\r\n",
    "chunks and a length": LINE + TE + b"content-length: 5\r\n\r\n0\r\n\r\n",
    "a length and chunks": LINE + b"content-length: 5\r\n" + TE + b"\r\n0\r\n\r\n",
    "chunks of an old client": b"POST /x HTTP/1.0\r\n" + TE + b"\r\n0\r\n\r\n",
    "two codings": LINE + TE + b"transfer-encoding: identity\r\n\r\n0\r\n\r\n",
    "chunked twice": LINE + TE + TE + b"\r\n0\r\n\r\n",
    "an unknown coding": LINE + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding before chunked": LINE + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two hosts": HOST + b"host: b\r\n\r\n",
    "two expectations": LINE + b"expect: 100-continue\r\nexpect: 100-continue\r\n\r\n",
}
BAD_BODIES: dict[str, bytes] = {
    "no size": HOST + TE + b"\r\nzz\r\n",
    "a negative size": HOST + TE + b"\r\n-5\r\nhello\r\n0\r\n\r\n",
    "a prefixed size": HOST + TE + b"\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "more than the size": HOST + TE + b"\r\n5\r\nhelloXX\r\n0\r\n\r\n",
    "bare line feeds": HOST + TE + b"\r\n5\nhello\n0\n\n",
    "a size beyond all numbers": HOST + TE + b"\r\nfffffffffffffffff\r\n",
    "a broken trailer": HOST + TE + b"\r\n0\r\na b: c\r\n\r\n",
}


def reader_of(known: KnownHeads | None = None) -> RequestReader:
    return RequestReader(known or KnownHeads())


def read(reader: RequestReader, pieces: list[bytes]) -> tuple[Story, bytes]:
    """Read one request; returns what came of it, and what stands behind."""
    pieces = [piece for piece in pieces if piece]
    head, body = None, b""
    while head is None:
        rest = reader.take_head(pieces.pop(0))
        head = reader.head
        if rest:
            pieces.insert(0, rest)
    while not reader.complete:
        got, rest = reader.take_body(pieces.pop(0))
        body += got
        if rest:
            pieces.insert(0, rest)
    return (head.method, head.target, head.headers, body), b"".join(pieces)


def cut(whole: bytes, at: set[int]) -> list[bytes]:
    edges = sorted({0, len(whole)} | {each % (len(whole) + 1) for each in at})
    return [whole[a:b] for a, b in pairwise(edges)]


@pytest.mark.parametrize("name", GOOD)
def test_at_each_single_split_a_request_is_the_same_and_the_next_is_untouched(name: str) -> None:
    whole = GOOD[name]
    wanted, _ = read(reader_of(), [whole])
    assert "x-late" not in wanted[2]
    reader = reader_of()
    for at in range(1, len(whole)):
        behind = SHORT + CHUNKED
        story, rest = read(reader, [whole[:at], whole[at:] + behind])
        assert (story, rest) == (wanted, behind), at
        for _ in range(2):
            (_, _, _, body), rest = read(reader, [rest])
            assert body == b"hello"


def test_a_head_says_how_and_what_for() -> None:
    for whole, method, target in (
        (SHORT, b"POST", b"/x"),
        (b"GET /y HTTP/1.1\r\n\r\n", b"GET", b"/y"),
    ):
        for reader in (reader_of(), reader_of(known_of(whole))):
            reader.take_head(whole)
            assert reader.head is not None
            assert (reader.head.method, reader.head.target) == (method, target)


@pytest.mark.parametrize("name", BAD_HEADS)
def test_at_each_single_split_a_bad_head_is_refused(name: str) -> None:
    whole = BAD_HEADS[name]
    for at in range(len(whole)):
        with pytest.raises(BadHeadError) as told:
            read(reader_of(), [whole[:at], whole[at:] + b"\r\n\r\n"])
        assert "hello" not in str(told.value)


@pytest.mark.parametrize("name", BAD_BODIES)
def test_at_each_single_split_a_bad_body_is_refused(name: str) -> None:
    whole = BAD_BODIES[name]
    for at in range(len(whole)):
        with pytest.raises(BadBodyError):
            read(reader_of(), [whole[:at], whole[at:], b"\r\n\r\n"])


@given(st.lists(st.sampled_from(sorted(GOOD)), min_size=1, max_size=4), st.sets(st.integers(0)))
def test_requests_behind_each_other_in_any_pieces(names: list[str], at: set[int]) -> None:
    reader, pieces = reader_of(), cut(b"".join(GOOD[name] for name in names), at)
    for name in names:
        wanted, _ = read(reader_of(), [GOOD[name]])
        story, _ = read_on(reader, pieces)
        assert story == wanted
    assert pieces == []


def read_on(reader: RequestReader, pieces: list[bytes]) -> tuple[Story, bytes]:
    """Read one request and leave the pieces behind it as they are cut."""
    taken: list[bytes] = []
    while True:
        taken.append(pieces.pop(0))
        try:
            story, rest = read(reader_of(), list(taken))
        except IndexError:
            continue
        break
    again, same = read(reader, taken)
    assert (again, same) == (story, rest)
    if rest:
        pieces.insert(0, rest)
    return story, rest


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=6), st.sampled_from(["", "a", "b"]))
def test_bytes_of_any_kind_are_a_request_or_refused(pieces: list[bytes], begin: str) -> None:
    begun = {"": b"", "a": LINE, "b": HOST + TE + b"\r\n"}[begin]
    try:
        read(reader_of(), [begun, *pieces])
    except (BadHeadError, BadBodyError, IndexError):
        return


def test_a_head_has_a_bound_however_it_comes() -> None:
    line = b"a%d: " + b"x" * 8_000 + b"\r\n"
    fits = LINE + b"".join(line % n for n in range(8)) + b"\r\n"
    over = LINE + b"".join(line % n for n in range(9)) + b"\r\n"
    assert len(fits) < MAX_HEAD_BYTES < len(over)
    assert read(reader_of(), [fits])[0][3] == b""
    for pieces in ([over], [over[i : i + 999] for i in range(0, len(over), 999)], [over[:-2]]):
        with pytest.raises(BadHeadError, match="longer than 65536 bytes"):
            read(reader_of(), list(pieces))


def test_the_bound_of_a_head_is_exact_however_it_comes() -> None:
    begun = LINE + b"".join(b"a%d: " % n + b"x" * 8_000 + b"\r\n" for n in range(8)) + b"b: "
    for size, fits in ((MAX_HEAD_BYTES, True), (MAX_HEAD_BYTES + 1, False)):
        whole = begun + b"x" * (size - len(begun) - 4) + b"\r\n\r\n"
        assert len(whole) == size
        for at in (size, size - 1, size - 4, 5):
            pieces = [whole[:at], whole[at:]]
            if fits:
                assert read(reader_of(), pieces)[1] == b""
                continue
            with pytest.raises(BadHeadError, match="longer than"):
                read(reader_of(), pieces)


def test_half_a_head_has_the_same_bound() -> None:
    reader = reader_of()
    line = b"a: " + b"x" * 995 + b"\r\n"
    whole = LINE + line * 70
    assert reader.take_head(whole[:MAX_HEAD_BYTES]) == b""
    with pytest.raises(BadHeadError, match="longer than"):
        reader.take_head(b"x")


def test_a_line_and_their_number_have_bounds_too() -> None:
    def named(size: int) -> bytes:
        return LINE + b"a: " + b"x" * (size - 3) + b"\r\nb: c\r\n\r\n"

    assert read(reader_of(), [named(MAX_LINE_BYTES)])[0][2]["b"] == "c"
    with pytest.raises(BadHeadError, match="8190"):
        read(reader_of(), [named(MAX_LINE_BYTES + 1)])
    lines = [b"a%d: b\r\n" % n for n in range(MAX_FIELDS + 1)]
    assert len(read(reader_of(), [LINE + b"".join(lines[1:]) + b"\r\n"])[0][2]) == MAX_FIELDS
    for many in (lines, [b"a: b\r\n"] * (MAX_FIELDS + 1)):
        with pytest.raises(BadHeadError, match="128"):
            read(reader_of(), [LINE + b"".join(many) + b"\r\n"])


@pytest.mark.parametrize("rest", [b"5;a=", b"0\r\nlate: "])
def test_what_chunks_say_beside_their_data_has_a_bound(rest: bytes) -> None:
    """An extension, or trailers, that never end."""
    begun = HOST + TE + b"\r\n5\r\nhello\r\n"
    with pytest.raises(BadBodyError):
        read(reader_of(), [begun, rest, *[b"x" * 1000] * 70])
    reader = reader_of()
    reader.take_head(begun)
    for _ in range(200):
        assert reader.take_body(b"1;a=" + b"x" * 1000 + b"\r\nb\r\n") == (b"b", b"")


def test_the_bound_of_what_chunks_say_is_exact_behind_their_data() -> None:
    for size, fits in ((MAX_HEAD_BYTES, True), (MAX_HEAD_BYTES + 1, False)):
        told = b"5;a=" + b"x" * (size - 4)
        for begun in (b"", b"2\r\nhe\r\n"):
            reader = reader_of()
            read(reader, [CHUNKED])
            reader.take_head(HOST + TE + b"\r\n")
            assert reader.take_body(begun) == (begun[3:5], b"")
            if fits:
                assert reader.take_body(told) == (b"", b"")
                continue
            with pytest.raises(BadBodyError):
                reader.take_body(told)


def test_empty_lines_without_end_are_read_in_one_step() -> None:
    """Before a head, and in a body: a step for each, with a copy of the rest, stopped the loop."""
    reader = reader_of()
    assert (reader.take_head(b"\r\n\r\n" * 16_384), reader.head, reader.has_begun) == (
        b"",
        None,
        False,
    )
    assert reader.take_head(b"\r\n\r\n" * 16_384 + HOST + TE + b"\r\n") == b""
    lines = b"a\r\n\r\n" * (MAX_PIECES - 2)
    whole = b"%x\r\n%b\r\n0\r\n\r\n" % (len(lines), lines)
    assert reader.take_body(whole + SHORT) == (lines, SHORT)
    assert read(reader, [CHUNKED])[0][3] == b"hello", "its successor has as many for itself"


@pytest.mark.parametrize("size", [1, 2, 7, 10**6])
def test_a_body_of_empty_lines_alone_has_a_bound(size: int) -> None:
    """They cost seconds before, of which a loop gives one connection many in a turn."""
    lines = b"\r\n\r\n" * MAX_PIECES
    whole = HOST + TE + b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(lines), lines)
    with pytest.raises(BadBodyError):
        read(reader_of(), [whole[at : at + size] for at in range(0, len(whole), size)])


def test_the_preface_of_http_2_is_no_request() -> None:
    used = reader_of()
    read(used, [SHORT])
    for reader in (reader_of(), used):
        with pytest.raises(BadHeadError, match="not a request"):
            reader.take_head(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")


def head(lines: bytes, version: bytes = b"1.1") -> Head:
    reader = reader_of()
    reader.take_head(b"POST /x HTTP/" + version + b"\r\n" + lines + b"\r\n")
    assert reader.head is not None
    return reader.head


@pytest.mark.parametrize(
    ("version", "said", "keeps"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: Close\r\n", False),
        (b"1.1", b"Connection: keep-alive , close\r\n", False),
        (b"1.1", b"Connection: x-close\r\n", True),
        (b"1.1", b"connection: a\r\nconnection: close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"connection: Keep-Alive\r\n", True),
        (b"1.0", b"connection: close, keep-alive\r\n", False),
    ],
)
def test_a_client_says_whether_it_goes_on(version: bytes, said: bytes, *, keeps: bool) -> None:
    assert head(said, version).keeps_alive is keeps


def test_a_head_says_what_its_body_is() -> None:
    for lines, length in ((b"content-length: 007\r\n", 7), (TE, None), (b"", None)):
        reader = reader_of()
        reader.take_head(HOST + lines + b"\r\n")
        assert reader.length == length
    assert head(b"expect: 100-Continue\r\n").expects_continue
    assert not head(b"expect: something\r\n").expects_continue
    assert not head(b"expect: 100-continue\r\n", b"1.0").expects_continue


def test_what_came_twice_is_joined_and_named() -> None:
    one = head(b"A: 1\r\nb: 2\r\na:3\r\nauthorization: x\r\nAuthorization:\t y \r\n")
    assert one.headers == {"a": "1, 3", "b": "2", "authorization": "x, y"}
    assert one.repeated == ("a", "authorization")
    assert head(b"a: 1\r\n").repeated == ()


def test_what_llhttp_lets_through_is_refused_here() -> None:
    """As far as it may change its mind: the rules stand here, too."""
    for line in (b"GET /x", b"GET /x  HTTP/1.1", b"GET /x HTTP/2.0", b"GET /x y HTTP/1.1"):
        with pytest.raises(BadHeadError):
            read_head(line + b"\r\n\r\n", {})


def test_a_head_that_comes_in_parts_is_kept_as_it_came() -> None:
    reader = reader_of()
    assert not reader.has_begun
    assert reader.take_head(SHORT[:10]) == b""
    assert reader.has_begun
    assert reader.take_head(SHORT[10:]) == b"hello"
    assert (reader.raw, reader.has_begun) == (SHORT[:-5], False)


def known_of(*heads: bytes) -> KnownHeads:
    known = KnownHeads()
    for each in heads:
        reader_of(known).take_head(each)
    return known


def test_a_head_that_differs_only_in_its_length_is_read_the_same_with_and_without_llhttp() -> None:
    for name in (b"content-length", b"Content-Length", b"CONTENT-LENGTH"):
        whole = HOST + b"A: B\r\n" + name + b": %d\r\nc: ength: 5\r\n\r\n"
        known = known_of(whole % 5)
        for size in (0, 3, 12345):
            told = whole % size + b"x" * size
            reader = reader_of(known)
            assert read(reader, [told]) == read(reader_of(), [told])
            assert reader.length == size
            assert known.last is None or reader.head is known.last.head, "it is no other"
            assert read(reader_of(known), [told[:9], told[9:] + b"more"])[1] == b"more"
        lower = b"ength" in name
        assert (known.last is not None) == lower, "in capitals it is read anew each time"


@pytest.mark.parametrize("digits", [b"", b"+5", b"-5", b"5 5", b"0x5", b"5, 5", b"9" * 22, b"\xb2"])
def test_digits_that_are_none_are_judged_by_llhttp(digits: bytes) -> None:
    known = known_of(HOST + b"content-length: 5\r\n\r\n")
    assert known.last is not None
    with pytest.raises(BadHeadError):
        reader_of(known).take_head(HOST + b"content-length: " + digits + b"\r\n\r\n")
    assert MAX_DIGITS < 22


def test_only_heads_whose_length_stands_plainly_are_remembered() -> None:
    for lines in (
        b"x-ength: 5\r\ncontent-length: 5\r\n",
        b"x: content-length: 7\r\ncontent-length: 5\r\n",
        b"content-length:5\r\n",
        b"content-length:  5\r\n",
        b"content-length: 5 \r\n",
        TE,
        b"",
        b"content-length: 5\r\na: " + b"x" * MAX_KNOWN_BYTES + b"\r\n",
    ):
        assert known_of(HOST + lines + b"\r\n").last is None, lines


def test_a_reader_remembers_its_own_last_head_and_a_new_one_that_of_the_last_client() -> None:
    heads = KnownHeads()
    one, other = reader_of(heads), reader_of(heads)
    for whole, reader in ((SHORT, one), (SHORT.replace(b"/x", b"/y"), other)):
        read(reader, [whole])
        assert heads.last is not None
        assert heads.last.begin == whole[: whole.index(b": 5") + 2]
        last = heads.last
    read(one, [SHORT])
    assert heads.last is last, "its own was remembered"
    read(reader_of(heads), [SHORT])
    assert heads.last is not last, "and is judged anew by a third"


@given(
    st.lists(st.sampled_from([*GOOD.values(), *BAD_HEADS.values(), *BAD_BODIES.values()])),
    st.sets(st.integers(0)),
)
def test_what_was_seen_before_changes_no_judgement(names: list[bytes], at: set[int]) -> None:
    known = known_of(SHORT, GOOD["an upgrade"])
    for whole in names:
        told: list[object] = []
        for one in (reader_of(), reader_of(known)):
            try:
                told.append(read(one, cut(whole + b"\r\n\r\n", at)))
            except (BadHeadError, BadBodyError, IndexError) as bad:
                told.append((type(bad), str(bad)))
        assert told[0] == told[1]


@pytest.mark.parametrize("cut_at", [0, 9, 28])
def test_what_a_bad_head_was_for_is_not_what_the_request_before_it_was_for(cut_at: int) -> None:
    reader = reader_of()
    for _ in range(2):  # the second time without llhttp
        read(reader, [SHORT])
    bad = b"POST /second HTTP/1.1\r\na b: c\r\n\r\n"
    with pytest.raises(BadHeadError):
        read(reader, [bad[:cut_at], bad[cut_at:]])
    assert reader.target == b"/second"


@pytest.mark.parametrize("over", [0, 1])
def test_a_first_line_that_is_too_long_tells_nothing_of_what_it_is_for(over: int) -> None:
    """Neither of a head that never comes to its end, nor of one that is wrong."""
    target = b"/".ljust(MAX_LINE_BYTES + over - len(b"POST  HTTP/1.1"), b"s")
    begun = b"POST %b HTTP/1.1\r\na: b\r\n" % target
    reader = reader_of()
    assert reader.take_head(begun) == b""
    assert reader.target == (b"" if over else target)
    reader = reader_of()
    with pytest.raises(BadHeadError):
        read(reader, [begun + b"a b: c\r\n\r\n"])
    assert reader.target == (b"" if over else target)
