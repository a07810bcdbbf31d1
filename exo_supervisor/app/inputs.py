"""What a service is started with: its configuration, its sockets and its keys."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from socket import socket
from types import MappingProxyType

import msgspec
from msgspec import Struct

from exo_supervisor.config.schema import Config
from exo_supervisor.config.shown import without_passwords
from exo_supervisor.config.where import NO_KEY
from exo_supervisor.core.policy import WAITS, Waits
from exo_supervisor.host.credentials import Secret
from exo_supervisor.runtime.sinks import Sink


class Inputs(Struct, frozen=True):
    """All that the service is given at its start.

    `state` is the directory of what is kept across restarts; None keeps nothing. `tcp` is a
    loopback listener and the token that it asks for, `admin_group` whose members give orders;
    `client_tokens` are those of clients, by the names of their rows. `sinks` are told of each
    request's end and of what the core announces. `missing` are keys of providers that have others.
    """

    config: Config
    file: str | None
    sockets: Sequence[socket]
    keys: Mapping[str, tuple[Secret, ...]]
    why_off: Mapping[str, str]
    state: Path | None = None
    tcp: tuple[socket, Secret] | None = None
    admin_group: int | None = None
    client_tokens: Mapping[str, Secret] = MappingProxyType({})
    origins: Mapping[str, str] = MappingProxyType({})
    waits: Waits = WAITS
    sinks: Sequence[Sink] = ()
    missing: Mapping[str, str] = MappingProxyType({})

    def settings(self) -> Mapping[str, object]:
        """Return the settings as they are shown: what is set and from where, never a secret."""
        keys = {
            name: ", ".join(each.where for each in secrets) or NO_KEY
            for name, secrets in self.keys.items()
        }
        return {
            "view": "service",
            "file": self.file,
            "config": msgspec.to_builtins(without_passwords(self.config)),
            "origins": dict(self.origins),
            "keys": {each.name: keys.get(each.name) for each in self.config.providers},
            "token": None if self.tcp is None else self.tcp[1].where,
            "client_tokens": {name: token.where for name, token in self.client_tokens.items()},
        }

    def secrets(self) -> list[str]:
        """List what must not be told of beside the providers' keys: tokens."""
        own = [] if self.tcp is None else [self.tcp[1]]
        return [token.reveal() for token in (*own, *self.client_tokens.values())]

    def listening_at(self) -> list[str]:
        """Return where clients come in: Unix sockets' paths, and the TCP listener's address."""
        sockets = [str(each.getsockname()) for each in self.sockets]
        if self.tcp is not None:
            sockets.append("{}:{}".format(*self.tcp[0].getsockname()))
        return sockets
