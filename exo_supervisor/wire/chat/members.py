"""Members of a client's body that are read, and those that nobody here has a word for.

A body is decoded by types that take no other member than their own, which costs nothing. Only where
one has another is it looked through for all of them, so that none is dropped in silence.
"""

import re
from collections.abc import Iterator
from functools import cache, cached_property
from typing import (
    Any,
    ClassVar,
    Final,
    Generic,
    TypeGuard,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
)

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.wire.chat.body import read_as
from exo_supervisor.wire.chat.piece import NULL

EMPTY: Final = frozenset({b"null", b"[]", b"{}", b'""', b"false"})
"""Values by which a member asks for nothing."""
_PLAIN_NAME: Final = r"[A-Za-z0-9_.\-]{1,64}"


class Members(Struct):
    """A JSON object of a client's: a subclass has a field for each member that is read."""

    harmless: ClassVar[frozenset[str]] = frozenset()
    """Members that are passed over, since no answer changes by them."""
    types: ClassVar[frozenset[str]] = frozenset()
    """Values of `type` whose members these are, if not of any: another type is told as such."""


Known = TypeVar("Known")


class MembersDecoder(Generic[Known]):
    """Decodes as another decoder does, and looks for members that its types do not have."""

    def __init__(self, lenient: msgspec.json.Decoder[Known]) -> None:
        self._lenient = lenient

    @cached_property
    def _strict(self) -> msgspec.json.Decoder[Known]:
        """What takes no other members; made for the first body, as many a house has none of it."""
        return msgspec.json.Decoder(cast("type[Known]", _strict(self._lenient.type)))

    def read(self, body: bytes | Raw, *, under: str = "") -> tuple[Known, list[str]]:
        """Return the object, and the paths of what it has beside; raises BadRequestError.

        `under` is where in the body it stands, as for `read_as`.
        """
        try:
            return self._strict.decode(body), []
        except msgspec.ValidationError:  # of a member's name or of its type
            known = read_as(self._lenient, body, under=under)
        path = re.sub(r"\d+", "", under)
        return known, list(dict.fromkeys(_unknown(self._lenient.type, Raw(body), path)))


_object = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])


def _strict(kind: object) -> object:
    """Derive a type that takes no other members, nor do the types within it."""
    if _is_members(kind):
        fields: list[tuple[str, Any, Any]] = [(name, Raw, NULL) for name in kind.harmless]
        fields += (
            (each.name, strict, each.default)
            for each in msgspec.structs.fields(kind)
            if (strict := _strict(each.type)) is not each.type
        )
        return msgspec.defstruct(
            kind.__name__, fields, bases=(kind,), forbid_unknown_fields=True, kw_only=True
        )
    within = tuple(map(_strict, get_args(kind)))
    if within == get_args(kind):
        return kind
    return list[within] if get_origin(kind) is list else Union[within]  # noqa: UP007 - it is not known how many


def _is_members(kind: object) -> TypeGuard[type[Members]]:
    return isinstance(kind, type) and issubclass(kind, Members)


def _unknown(kind: object, raw: Raw, path: str) -> Iterator[str]:
    """Name the members that no type has, each by its path without places in lists."""
    begins = bytes(memoryview(raw)[:1])  # of a body that may be large
    for each in (kind, *get_args(kind)):
        if get_origin(each) is list and begins == b"[":
            for item in _list.decode(raw):
                yield from _unknown(get_args(each)[0], item, f"{path}[]")
        elif _is_members(each) and begins == b"{":
            yield from _unknown_of(each, _object.decode(raw), path)


@cache
def _types(kind: type[Members]) -> dict[str, object]:
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


def _unknown_of(kind: type[Members], told: dict[str, Raw], path: str) -> Iterator[str]:
    kind_of = told.get("type", NULL)
    if kind.types and kind_of != NULL and msgspec.json.decode(kind_of) not in kind.types:
        return
    known = _types(kind)
    for name, raw in told.items():
        if name in known:
            yield from _unknown(known[name], raw, f"{path}.{name}".lstrip("."))
        elif name not in kind.harmless and bytes(raw) not in EMPTY:
            plain = re.fullmatch(_PLAIN_NAME, name) is not None
            yield f"{path}.{name}".lstrip(".") if plain else path or "a field"
