"""What a server does on the wire while it answers, one step after the other."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Head:
    """Send status line and headers, `headers` beside the usual ones; no `length` means chunks."""

    status: int
    content_type: str
    length: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Write:
    """Send bytes that hold so many tokens."""

    data: bytes
    tokens: int = 0


@dataclass(frozen=True)
class Raw:
    """Send bytes past the framing of the body, and close."""

    data: bytes


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds, with keep-alives where the server has them."""

    seconds: float


@dataclass(frozen=True)
class UntilCured:
    """Wait until the disease is another, with keep-alives."""


@dataclass(frozen=True)
class Idle:
    """Send nothing but keep-alives, for ever."""


@dataclass(frozen=True)
class Mute:
    """Send nothing at all, for ever."""


@dataclass(frozen=True)
class Abort:
    """Drop the connection without a terminator."""


@dataclass(frozen=True)
class Reset:
    """Drop the connection with a TCP reset."""


@dataclass(frozen=True)
class Hints:
    """Send so many interim heads (RFC 8297), or one after the other for ever."""

    count: int | None


Step = Head | Write | Raw | Pause | UntilCured | Idle | Mute | Abort | Reset | Hints
