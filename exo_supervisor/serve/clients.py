"""Who asks: which client's rule holds for a user at the Unix socket, or for a token on TCP.

A browser shows its token once, and a session stands for it from then on.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from msgspec import Struct

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.core.policy import DEFAULT_CLIENT, ClientRule
from exo_supervisor.http.head import Head
from exo_supervisor.serve.browser import Sessions
from exo_supervisor.serve.profiles import TOKEN_MANAGER, told_stranger

MOST_FOUND = 4096
"""Users whose rule is remembered, each with the groups that it came with."""


class Who(Struct, frozen=True):
    """A rule, and the users and groups for which it holds."""

    rule: ClientRule
    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()


class Peer(Protocol):
    """Whoever is at the other end of a Unix socket, as the kernel tells it."""

    @property
    def uid(self) -> int | None: ...

    @property
    def groups(self) -> frozenset[int]: ...


class Clients:
    """Knows the rules in their order; `name_of` says whose a token is."""

    def __init__(
        self,
        rows: Iterable[Who] = (),
        name_of: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._rows, self._name_of = tuple(rows), name_of
        self.sessions = Sessions()
        self._default = self.named(DEFAULT_CLIENT.name) or DEFAULT_CLIENT
        self._by_group = any(row.gids for row in self._rows)
        self._found: dict[tuple[int | None, frozenset[int]], ClientRule] = {}

    def __len__(self) -> int:
        return len(self._found)

    def told(self, head: Head, refusal: Refusal) -> Refusal:
        """Tell somebody whose token is not known, as a client of ours may need it told."""
        kinds = {row.rule.profile for row in self._rows}
        return told_stranger(head, refusal) if TOKEN_MANAGER in kinds else refusal

    def names(self) -> list[str]:
        """List whoever may have a token."""
        return [
            *(row.rule.name for row in self._rows if row.rule is not self._default),
            DEFAULT_CLIENT.name,
        ]

    def named(self, name: str) -> ClientRule | None:
        """Return the rule of this name."""
        return next((row.rule for row in self._rows if row.rule.name == name), None)

    def of_peer(self, peer: Peer) -> ClientRule:
        """Say which rule holds for a user: the first that names it, or any of its groups."""
        if not self._rows:
            return DEFAULT_CLIENT
        key = peer.uid, peer.groups if self._by_group else frozenset[int]()
        if (found := self._found.get(key)) is None:
            uid, gids = key
            fits = (row.rule for row in self._rows if uid in row.uids or row.gids & gids)
            if len(self._found) >= MOST_FOUND:
                self._found.clear()
            self._found[key] = found = next(fits, self._default)
        return found

    def of_token(self, token: str) -> ClientRule | None:
        """Say which rule holds for a token; None: it is nobody's."""
        name = self._name_of(token)
        return self._default if name == DEFAULT_CLIENT.name else self.named(name or "")
