"""A compressed body is read as one that is not, and is never more than one that is not may be."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from itertools import permutations
from typing import Any

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.serve.encodings import MOST_MEMBERS, PIECE, BodyDecoder, read_codings
from tests.serve.test_ingress import ASKED, end, enter, send, told
from tests.serve.virtual import House, start

MOST = 8 * 1024 * 1024
LITTLE = 2 * 1024 * 1024
BROTLI: Any = import_module("brotli")


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": partial(BROTLI.compress, quality=3),
    "zstd": zstd.compress,
}


SPOILED: list[Callable[[bytes], bytes]] = [
    lambda body: body[:-1],
    lambda body: body[: len(body) // 2],
    lambda _: b"",
    lambda body: body + b"more",
    lambda _: b'{"model":"m","messages":[]}',
    lambda body: bytes([body[0] ^ 0xFF]) + body[1:],
]


def packed(data: bytes, *codings: str) -> bytes:
    for coding in codings:
        data = PACK[coding](data)
    return data


def unpacked(codings: str, *parts: bytes, most: int = MOST) -> bytes:
    decoder = BodyDecoder(read_codings(codings), most)
    got = b"".join(piece for part in parts for piece in decoder.feed(part))
    decoder.end()
    return got


def refused(codings: str, *parts: bytes, most: int = MOST) -> Refusal:
    with pytest.raises(BadRequestError) as caught:
        unpacked(codings, *parts, most=most)
    return caught.value.refusal


@pytest.mark.parametrize("first", PACK)
@pytest.mark.parametrize("second", [None, *PACK])
@given(data=st.binary(min_size=1), cut=st.integers(0, 200))
def test_a_body_is_the_same_in_each_coding_at_every_split(
    first: str, second: str | None, data: bytes, cut: int
) -> None:
    codings = [first] if second is None else [first, second]
    body = packed(data, *codings)
    cut %= len(body) + 1
    assert unpacked(", ".join(codings), body[:cut], body[cut:]) == data


@pytest.mark.parametrize("coding", PACK)
def test_a_large_body_comes_in_pieces_of_a_bounded_size(coding: str) -> None:
    decoder = BodyDecoder([coding], MOST)
    pieces = list(decoder.feed(packed(b"a" * MOST, coding)))
    decoder.end()
    assert sum(map(len, pieces)) == MOST
    assert max(map(len, pieces)) <= 2 * PIECE


STORED = b"\xc9\x04\x00\xfb\xff" + b"bare"
"""Raw deflate whose first two bytes are as zlib begins, but for the coding that they name."""


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("deflate", raw_deflate(b"bare")),
        ("x-gzip", gzip.compress(b"bare")),
        ("GZIP ,, Identity", gzip.compress(b"bare")),
        ("gzip", gzip.compress(b"ba") + gzip.compress(b"re")),
        ("zstd", zstd.compress(b"ba") + zstd.compress(b"re")),
        ("deflate", zlib.compress(b"bare")),
        ("deflate", STORED),
    ],
    ids=["raw", "x-gzip", "GZIP", "gzip twice", "zstd twice", "deflate", "raw, nearly as zlib"],
)
def test_what_clients_mean_by_a_coding_is_read(coding: str, body: bytes) -> None:
    assert unpacked(coding, body) == b"bare"
    assert unpacked(coding, *(body[place : place + 1] for place in range(len(body)))) == b"bare"


SKIPPED = (0x184D2A50).to_bytes(4, "little") + bytes(4)
"""A frame of zstd that holds nothing, and is not for its reader."""


@pytest.mark.parametrize(
    ("coding", "member"),
    [
        ("gzip", gzip.compress(b"")),
        ("gzip", gzip.compress(b"a")),
        ("zstd", zstd.compress(b"")),
        ("zstd", zstd.compress(b"a")),
        ("zstd", SKIPPED),
    ],
    ids=["gzip of none", "gzip", "zstd of none", "zstd", "zstd that is skipped"],
)
@pytest.mark.parametrize("around", PACK)
def test_a_coding_holds_no_more_members_than_take_but_a_moment(
    coding: str, member: bytes, around: str
) -> None:
    """Half a million empty ones fit into 402 bytes, and took eight seconds."""
    codings = f"{coding}, {around}"
    few = packed(member * MOST_MEMBERS, around)
    assert len(unpacked(codings, few)) in (0, MOST_MEMBERS)
    for many in (MOST_MEMBERS + 1, MOST // len(member)):
        refusal = refused(codings, packed(member * many, around))
        assert (refusal.status, refusal.code) == (400, "bad_http")
        assert refusal.message == (
            f"the body holds more than {MOST_MEMBERS} members of {coding}: compress it as one"
        )
    one_by_one = [member] * (MOST_MEMBERS + 1)
    assert refused(coding, *one_by_one).status == 400


@pytest.mark.parametrize("coding", ["", "identity", "Identity, identity"])
def test_what_changes_nothing_is_no_coding(coding: str) -> None:
    assert read_codings(coding) == []


@pytest.mark.parametrize("coding", ["compress", "gzip, snappy", "gzip, gzip, gzip, gzip", "g\xff"])
def test_what_we_do_not_read_is_refused_and_what_we_do_is_named(coding: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        read_codings(coding)
    refusal = caught.value.refusal
    assert (refusal.status, refusal.code) == (415, "unsupported_encoding")
    assert "gzip, deflate, br, zstd are" in refusal.message
    assert coding not in refusal.message


@pytest.mark.parametrize("coding", PACK)
@pytest.mark.parametrize("spoil", SPOILED)
def test_a_broken_stream_is_the_clients_fault(coding: str, spoil: Callable[[bytes], bytes]) -> None:
    refusal = refused(coding, spoil(packed(b"what was meant", coding)))
    assert (refusal.status, refusal.code) == (400, "bad_http")
    assert refusal.message == f"the body is not whole {coding}, as its content-encoding says"


@pytest.mark.parametrize(("coding", "other"), list(permutations(PACK, 2)))
def test_one_coding_is_not_taken_for_another(coding: str, other: str) -> None:
    """Whoever reads on in front of us would have stopped there."""
    assert refused(coding, packed(b"what was meant", other)).status == 400


@pytest.mark.parametrize("coding", PACK)
@given(data=st.binary(max_size=60))
def test_no_bytes_raise_anything_else(coding: str, data: bytes) -> None:
    with suppress(BadRequestError):
        assert len(unpacked(coding, data)) < MOST


@pytest.mark.parametrize("codings", [[one] for one in PACK] + [["gzip", one] for one in PACK])
def test_a_bomb_is_refused_within_the_bound_of_memory(codings: list[str]) -> None:
    """Eight times what is allowed; what is taken of them before the refusal is thrown away here."""
    bomb = packed(bytes(8 * LITTLE), *codings)
    assert len(bomb) < LITTLE // 8
    decoder = BodyDecoder(codings[::-1], LITTLE)
    tracemalloc.start()
    taken = 0

    def throw_away() -> None:
        nonlocal taken
        for piece in decoder.feed(bomb):
            taken += len(piece)

    with pytest.raises(BadRequestError) as caught:
        throw_away()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.refusal.code == "body_too_large"
    assert taken <= LITTLE
    assert peak < 8 * PIECE


def test_what_stands_between_two_codings_is_bounded_too() -> None:
    """Inside, it would be small: a gigabyte of gzip's empty blocks says nothing."""
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    blocks = [packer.compress(b"x") + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(1000)]
    between = b"".join(blocks) + packer.flush()
    assert refused("gzip, zstd", zstd.compress(between), most=len(between) - 1).status == 413
    assert unpacked("gzip, zstd", zstd.compress(between), most=len(between)) == b"x" * 1000


def test_a_body_counts_in_the_room_as_large_as_it_is_inside() -> None:
    house = House(start)
    asked = ASKED[:-1] + b" " * 60_000 + ASKED[-1:]
    client = enter(house, {"content-encoding": "gzip"})
    body = gzip.compress(asked)
    send(client, body)
    assert len(body) < 1000
    assert house.gate.bodies.held == len(asked)
    end(client)
    assert json.loads(house.target.calls[0].body)["model"] == "m"


def test_a_bomb_and_a_broken_body_leave_nothing_behind() -> None:
    house = House()
    for body, refusal in (
        (gzip.compress(bytes(200_000)), (413, "body_too_large")),
        (gzip.compress(ASKED)[:-1], (400, "bad_http")),
        (ASKED, (400, "bad_http")),
    ):
        client = enter(house, {"content-encoding": "gzip"})
        send(client, body)
        end(client)
        assert told(client) == refusal
        assert house.gate.bodies.held == 0
    house.check_empty()


def test_a_frame_that_wants_more_memory_than_any_decoder_must_have_is_refused() -> None:
    """A window of a gigabyte is asked for in a few bytes."""
    options = {int(zstd.CompressionParameter.window_log): 27}
    packer = zstd.ZstdCompressor(options=options)
    body = packer.compress(b"x" * 100) + packer.flush()
    assert refused("zstd", body).code == "bad_http"
