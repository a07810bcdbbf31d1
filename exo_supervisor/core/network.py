"""What each fault of the network means to us: the one table, for all who meet the network.

The HTTP client knows no core, and the rooms that use it do not import each other. So the table
stands below both, and goes by the values of the client's `NetworkFault`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args

from msgspec import Struct

from exo_supervisor.core.outcomes import Fault

Why = Literal[
    "refused",
    "timeout",
    "no_route",
    "dns",
    "tls",
    "reset",
    "not_exo",
    "bad_answer",
    "bad_key",
    "outside",
    "other_user",
    "not_local",
]
"""Why a look at somebody failed: refused, timed out and wrong answer are three stories."""


class Meaning(Struct, frozen=True):
    """One fault: for a look `why` it failed, for an attempt what it died of, by how far it was."""

    why: Why
    connect: Fault = Fault.CONNECT
    head: Fault = Fault.RESET_EARLY
    body: Fault = Fault.RESET


MEANINGS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "bad_url": Meaning("no_route"),
        "dns": Meaning("dns"),
        "refused": Meaning("refused"),
        "no_route": Meaning("no_route"),
        "barred": Meaning("no_route"),
        "proxy": Meaning("no_route"),
        "tls": Meaning("tls", Fault.TLS, Fault.TLS),
        "timeout": Meaning("timeout", Fault.CONNECT_TIMEOUT),
        "reset": Meaning("reset"),
        "payload": Meaning("bad_answer", head=Fault.PAYLOAD, body=Fault.PAYLOAD),
        # Not the target's doing: it is asked again when a descriptor may be free.
        "exhausted": Meaning("no_route", Fault.BUSY, Fault.BUSY),
    }
)

NOT_SENT: Final[frozenset[Why]] = frozenset({"refused", "dns", "no_route", "tls"})
"""After these nobody can have got what we sent; after any other it may have been carried out."""

_WHYS: Final[Mapping[str, Why]] = MappingProxyType({why: why for why in get_args(Why)})


def why_of(fault: str, detail: str) -> Why:
    """Say why a look failed; of an address that is barred the border has said it in a word."""
    why = MEANINGS[fault].why
    return _WHYS.get(detail, why) if fault == "barred" else why
