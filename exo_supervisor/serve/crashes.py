"""The outermost guard: a fault of our own ends one request, and nobody else's.

Every callback of a request goes through it. Whoever called back (a connection, the ticker, the
conductor) serves others, too, and must not see what went wrong with this one.
"""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar, cast

from exo_supervisor.core.outcomes import Refusal


class Crashing(Protocol):
    """What a request's callbacks belong to."""

    def crash(self, crash: Exception) -> None:
        """End the request; its client and the log are told.

        It raises only what telling the client raised, when all is given back.
        """
        ...


S = TypeVar("S", bound=Crashing)
P = ParamSpec("P")
R = TypeVar("R")


def refusal_of(crash: BaseException | None) -> Refusal:
    """Say to a client that a fault of our own ended its request."""
    kind = "unknown" if crash is None else type(crash).__name__
    text = f"a fault of exo-supervisor's own ({kind}); its log has more"
    return Refusal(500, "internal", text, outcome="failure")


def guarded(
    step: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], R | None]:
    """Have a callback end its request instead of raising."""

    @wraps(step)
    def entry(self: S, *args: object) -> R | None:  # names would cost a dictionary each time
        try:
            return once(self, *args)
        except Exception as crash:  # noqa: BLE001 -- the outermost guard
            self.crash(crash)
            return None

    once = cast("Callable[..., R]", step)
    return cast("Callable[Concatenate[S, P], R | None]", entry)


def guarded_part(
    step: Callable[Concatenate[S, P], None],
) -> Callable[Concatenate[S, P], None]:
    """Do the same for what takes one argument and is called once a read: it costs half as much."""

    @wraps(step)
    def entry(self: S, part: object) -> None:
        try:
            once(self, part)
        except Exception as crash:  # noqa: BLE001 -- the outermost guard
            self.crash(crash)

    once = cast("Callable[[S, object], None]", step)
    return cast("Callable[Concatenate[S, P], None]", entry)
