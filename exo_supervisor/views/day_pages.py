"""What the file of the day book says."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from exo_supervisor.errors import NotOursError

_Name = Annotated[str, Meta(max_length=256)]
_Count = Annotated[int, Meta(ge=0)]
_Day = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d\Z")]


class Used(Struct):
    """What one client used today."""

    requests: _Count = 0
    prompt_tokens: _Count = 0
    completion_tokens: _Count = 0


class Left(Struct):
    """What left the house for one provider on behalf of one client in one day."""

    day: _Day
    provider: _Name
    client: _Name
    requests: _Count = 0
    bytes: _Count = 0


class Paid(Struct):
    """What one provider was paid for one client, today and this month, in pico-units."""

    provider: _Name
    client: _Name
    day: _Count = 0
    month: _Count = 0


class Earlier(Struct):
    """What left before the first day that is kept."""

    requests: _Count = 0
    bytes: _Count = 0


class Pages(Struct):
    """The file's content; `since` is when counting began."""

    version: Literal[1]
    since: _Day
    day: _Day
    private: _Count = 0
    """Bytes that left today of what may not: always 0, or we have a fault."""
    used: dict[_Name, Used] = field(default_factory=dict[str, Used])
    left: list[Left] = field(default_factory=list[Left])
    earlier: Earlier = field(default_factory=Earlier)
    currency: str = ""
    """Of what is `paid`."""
    paid: list[Paid] = field(default_factory=list[Paid])
    lost: str = ""
    """The last day on which the ledger lost rows."""
    written: _Count = 0
    """How often the book was: no clock tells as surely which of two is the newer."""


def read_pages(content: bytes) -> Pages:
    """Read the file's content; raises NotOursError for what we have not written."""
    try:
        return _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotOursError("it is not a book of days") from None


_decoder = msgspec.json.Decoder(Pages)
