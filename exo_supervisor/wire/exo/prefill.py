"""How far a prompt is read: Exo 1.0.68 and later tell it in comments of the answer's stream."""

import msgspec
from msgspec import Struct

from exo_supervisor.wire.untrusted_json import UNREADABLE

_BEGINS = b"prefill_progress "


class Prefill(Struct):
    """The tokens of a prompt that were read, and how many it has, if that was told."""

    processed_tokens: int
    total_tokens: int = 0


class _Comment(Struct):
    chunk: Prefill = msgspec.field(name="PrefillProgressChunk")


_comment = msgspec.json.Decoder(_Comment)


def read_prefill(comment: bytes) -> Prefill | None:
    """Read a comment of a stream; None: it tells nothing of that."""
    if not comment.startswith(_BEGINS):
        return None
    try:
        return _comment.decode(comment[len(_BEGINS) :]).chunk
    except UNREADABLE:
        return None
