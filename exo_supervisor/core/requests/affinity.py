"""Keeps a conversation where it is: the beginning of its prompt is still in a cache there.

Whose turn comes next decides how firmly. In the middle of a turn, when a tool's result goes back to
the model, a conversation stays for as long as its place can take it. At the beginning of one it
also looks around, and moves where that place is half full and another has more room.

Exo shares a cache within an instance, whichever node is asked, so that a place is a model in a
cluster; a provider's is its own, and belongs to a key. Of several instances of one model in one
cluster, Exo itself chooses.
"""

from msgspec import Struct

from exo_supervisor.core.bounded import Bounded
from exo_supervisor.core.breakers.table import Key
from exo_supervisor.core.events import RequestArrived
from exo_supervisor.core.names import ProviderName, Target
from exo_supervisor.core.requests.candidate import Candidate

MAX_CONVERSATIONS = 4096
"""Places of conversations that are remembered; the one that was used longest ago makes room."""
KEPT = 3600.0
"""Seconds after its last content for which a place is remembered."""

_Row = tuple[int, str, ProviderName | None]
"""A conversation and the name that it asked Exo for, or the provider."""


class Home(Struct, frozen=True):
    """Where a conversation got its last content: at this target, of this copy of a model.

    What a provider keeps of it, its `encrypted_content` above all, is of one `key`, whatever model
    comes next.
    """

    target: Target
    model: Key
    key: int
    until: float


class Affinity:
    """Owns the places of conversations; a request that names none has none."""

    def __init__(self) -> None:
        self.homes = Bounded[_Row, Home](MAX_CONVERSATIONS)

    def home(self, event: RequestArrived, provider: ProviderName | None) -> Home | None:
        """Return where a request's conversation was served last, at Exo or at a provider."""
        return self.homes.get(_row(event, provider)) if event.session else None

    def note(self, event: RequestArrived, candidate: Candidate, now: float) -> None:
        """Remember where a conversation got content."""
        home = Home(candidate.target, candidate.guards[1], candidate.key, now + KEPT)
        self.homes.renew(_row(event, candidate.provider), home)

    def prune(self, now: float) -> None:
        """Drop the places that nobody came back to."""
        for row in [row for row, home in self.homes.items() if now >= home.until]:
            del self.homes[row]


def _row(event: RequestArrived, provider: ProviderName | None) -> _Row:
    return event.session, event.model if provider is None else "", provider
