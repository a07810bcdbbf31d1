"""What an upstream tells beside what we read; it is passed on as it came."""

import msgspec
from msgspec import Raw

_NULL = Raw(b"null")
_ENVELOPE = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "error", "supervisor"}
)

MAX_OWED_BYTES = 8 * 1024 * 1024
"""Bytes of such members that wait for a chunk to go with, at most."""
MAX_OWED_NAMES = 256


class Extras:
    """The members of chunks beside `choices`: `citations`, `search_results` and their like.

    They are owed until they have gone out with a chunk; of one name the last told counts.
    """

    __slots__ = ("_now", "_owed")

    def __init__(self) -> None:
        self._now: dict[str, Raw] = {}
        self._owed: dict[str, Raw] = {}

    def note(self, told: dict[str, Raw]) -> bool:
        """Pick them out of the members of a chunk; False: they are too many, or too large."""
        if _ENVELOPE.issuperset(told):
            self._now = {}
            return True
        self._now = {
            name: Raw(bytes(raw))  # a copy, so that the rest of the chunk can go
            for name, raw in told.items()
            if name not in _ENVELOPE and raw != _NULL
        }
        owed = self._owed | self._now
        size = sum(map(len, owed)) + sum(map(len, owed.values()))
        return len(owed) <= MAX_OWED_NAMES and size <= MAX_OWED_BYTES

    def owe(self) -> None:
        """Note that a chunk has told them (again)."""
        if self._now:
            self._owed = self._owed | self._now

    def take(self) -> bytes:
        """Return what is owed as it stands inside an object behind its first members."""
        if not self._owed:
            return b""
        text = b",%b" % msgspec.json.encode(self._owed)[1:-1]
        self._owed = {}
        return text
