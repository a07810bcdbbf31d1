"""Generation C's discovery protocol: a multicast Hello, answered by a unicast WhatsUp.

A Hello says only which namespace is spoken; a WhatsUp says who answers, to whoever asked. Its
layout is that of Exo's zenoh line, commit 09f9ea313. Nothing here writes a WhatsUp: an answer
would tell Exo's nodes of a peer that is none.
"""

from typing import Final

from msgspec import Struct

from exo_supervisor.core.names import NodeId
from exo_supervisor.wire.exo.blake3 import blake3

NONCE: Final = 8
"""Bytes by which an answer is matched with its question."""

KNOWN_NAMESPACES: Final = tuple(
    map(
        bytes.fromhex,
        (
            "6e2bf1dad2aa1268",  # "0.3.70", from v1.0.71 on
            "5050c046df1081f1",  # "0.3.69"
            "90c407a737ac542f",  # "0.3.71"
            "f36f4f9292e581ea",  # "0.3.72"
        ),
    )
)
"""Digests of Exo's default namespaces, each the version of its Python package."""

_MAGIC = b"EXO"
_HELLO, _WHATS_UP = 0, 1
_DIGEST = 8
_HELLO_LENGTH = 20
_WHATS_UP_LENGTH = 30


class Hello(Struct, frozen=True):
    """Somebody looks for the others of a namespace, given as its digest."""

    nonce: bytes
    namespace: bytes


class WhatsUp(Struct, frozen=True):
    """A node answers the Hello of the same nonce; `port` is zenoh's, not the API's."""

    nonce: bytes
    node_id: NodeId
    port: int


def namespace_digest(namespace: str) -> bytes:
    """Return what a Hello carries for a namespace: the first 8 bytes of its BLAKE3.

    Raises ValueError for one that is longer than 1024 bytes in UTF-8.
    """
    return blake3(namespace.encode())[:_DIGEST]


def encode_hello(hello: Hello) -> bytes:
    """Write a Hello, 20 bytes."""
    return _MAGIC + bytes([_HELLO]) + hello.nonce + hello.namespace


def read_hello(datagram: bytes) -> Hello | None:
    """Read a Hello, or None for anything else."""
    if len(datagram) != _HELLO_LENGTH or datagram[:4] != _MAGIC + bytes([_HELLO]):
        return None
    return Hello(nonce=datagram[4:12], namespace=datagram[12:])


def read_whats_up(datagram: bytes) -> WhatsUp | None:
    """Read a WhatsUp, or None for anything else."""
    if len(datagram) != _WHATS_UP_LENGTH or datagram[:4] != _MAGIC + bytes([_WHATS_UP]):
        return None
    zid = int.from_bytes(datagram[12:28], "little")
    if zid == 0:  # zenoh gives nobody this id
        return None
    port = int.from_bytes(datagram[28:], "little")
    return WhatsUp(nonce=datagram[4:12], node_id=NodeId(format(zid, "x")), port=port)
