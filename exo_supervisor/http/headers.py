"""The fields of an answer's head, looked up where they stand."""

import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeVar, overload

_NAME: Final = re.compile(r"\r\n([^:]+):")

T = TypeVar("T")


class Headers(Mapping[str, str]):
    """Fields by their names in lower case; of a repeated one the last is left.

    A head has some twenty of them, of which two or three are ever asked for. The parser has proven
    that each is `NAME:VALUE` on a line of its own.
    """

    __slots__ = ("_lower", "_text")

    def __init__(self, head: bytes = b"") -> None:
        """Take a head, from its status line to the end of its last field."""
        self._text = head.decode("latin-1")
        self._lower = self._text.lower()

    def mentions(self, text: str) -> bool:
        """Say whether a text in lower case stands anywhere: what does not is in no field's name."""
        return text in self._lower

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: str | T) -> str | T: ...
    def get(self, name: str, /, default: object = None) -> object:
        """Do without the exception of one that is not there: most are not."""
        before, mark, _ = self._lower.rpartition(f"\r\n{name}:")
        if not mark:
            return default
        return self._text[len(before) + len(mark) :].partition("\r\n")[0].strip(" \t")

    def __contains__(self, name: object) -> bool:
        return f"\r\n{name}:" in self._lower

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(_NAME.findall(self._lower)))

    def __len__(self) -> int:
        return sum(1 for _ in self)
