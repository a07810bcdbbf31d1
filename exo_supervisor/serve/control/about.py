"""What the service knows of itself, for the routes that tell of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from msgspec import Struct

from exo_supervisor.core.names import RequestId
from exo_supervisor.views.booked import Books
from exo_supervisor.views.day_book import ClientSeen, DayBook
from exo_supervisor.views.now import Pulse
from exo_supervisor.views.recorder import Recorder
from exo_supervisor.views.tally import Tally
from exo_supervisor.wire.chat.reader import Reader


class About(Struct, frozen=True):
    """What the routes tell of the service itself."""

    config: str | None
    quiet: Callable[[], list[str]]
    tally: Tally
    book: DayBook
    clients: Callable[[], list[ClientSeen]]
    sockets: Sequence[str]
    reading_of: Callable[[RequestId], Reader | None]
    forget: Callable[[], None]
    """Drops what is kept of the nodes of earlier runs."""
    pins_kept: Callable[[], Awaitable[str | None]]
    """Waits, not for long, until the pins outlast a restart; else says why they do not."""
    metrics: Callable[[str], Awaitable[tuple[bytes, str]]]
    """Writes the text of `/metrics` in the format that its reader accepts, and says in which."""
    pulse: Pulse
    ledger: Books | None
    """None: none is kept."""
    settings: Mapping[str, object]
    """The body of `/supervisor/config`."""
    recorder: Recorder
