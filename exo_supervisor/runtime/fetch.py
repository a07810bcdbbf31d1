"""What the house asks of an HTTP client: a GET, or a command, bounded in time and in size."""

from collections.abc import Awaitable, Mapping
from types import MappingProxyType
from typing import Final, Literal, Protocol

from exo_supervisor.core.network import Why
from exo_supervisor.errors import SupervisorError
from exo_supervisor.wire.exo.identity import HttpAnswer

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class GetError(SupervisorError):
    """A GET got no answer that could be used; `detail` is short and repeats nothing received."""

    def __init__(self, why: Why, detail: str = "") -> None:
        super().__init__(detail or why)
        self.why: Why = why
        self.detail = detail


class Command(Protocol):
    """Sends a POST or a DELETE once, as `Get` does a GET; it may have arrived even if this raises.

    Only a GetError whose `why` is one of core.network.NOT_SENT means that it did not.
    """

    def __call__(
        self,
        method: Literal["POST", "DELETE"],
        url: str,
        body: bytes,
        *,
        timeout: float,
        limit: int,
    ) -> Awaitable[HttpAnswer]: ...


class Get(Protocol):
    """Asks a URL once and returns the answer, whatever its status; redirects are answers too.

    `timeout` (seconds) covers everything from the name's look-up to the body's last byte, `limit`
    (bytes) the body. Raises GetError for whatever goes wrong.
    """

    def __call__(
        self,
        url: str,
        *,
        timeout: float,
        limit: int,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Awaitable[HttpAnswer]: ...
