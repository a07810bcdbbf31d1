"""Which namespaces of generation C are spoken here: those named, those usual, those overheard."""

from collections.abc import Sequence

from exo_supervisor.core.bounded import Bounded
from exo_supervisor.wire.exo.hello import KNOWN_NAMESPACES, namespace_digest

MOST_OVERHEARD = 16
"""Overheard ones that are kept; beyond that the one not heard for longest is forgotten."""
SILENCE = 60.0
"""Seconds after which an overheard one is forgotten; Exo says it every second."""


class Namespaces:
    """The digests worth a question; `named` are namespaces as Exo's `--namespace` takes them.

    Raises ValueError for a name longer than 1024 bytes.
    """

    def __init__(self, named: Sequence[str]) -> None:
        self._always = dict.fromkeys([*map(namespace_digest, named), *KNOWN_NAMESPACES])
        self._overheard = Bounded[bytes, float](MOST_OVERHEARD)

    def overhear(self, digest: bytes, now: float) -> None:
        """Note that somebody speaks a namespace."""
        if digest not in self._always:
            self._overheard.renew(digest, now)

    def now(self, now: float) -> list[bytes]:
        """List the digests to ask with, those that a person named first."""
        for digest in [d for d, at in self._overheard.items() if now - at >= SILENCE]:
            del self._overheard[digest]
        return [*self._always, *self._overheard]
