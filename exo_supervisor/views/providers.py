"""What is shown of each provider: whether it may be asked, and which of its keys rest."""

from msgspec import Struct

from exo_supervisor.core.fleet.providers import Provider
from exo_supervisor.core.load.marks import BusyMarks
from exo_supervisor.views.placement import Wall


class KeySeen(Struct):
    """A key that is left alone; keys have numbers, from one, and are shown nowhere."""

    key: int
    why: str
    until: str


class ProviderSeen(Struct):
    """A provider in the status: how many keys it has, and which of them it refused."""

    name: str
    state: str
    why: str | None
    keys: int
    refused: list[KeySeen]


def shown(provider: Provider, busy: BusyMarks, now: float, wall: Wall) -> ProviderSeen:
    """Show one provider, and until when it is to be left alone, in part or as a whole."""
    refused = [
        KeySeen(number, key.why or f"refused with status {key.status}", wall(key.until))
        for number, key in enumerate(provider.keys, start=1)
        if not key.usable(now)
    ]
    keys = len(provider.keys)
    of = f" of {keys}" if keys > 1 else ""
    told = (f"key {seen.key}{of}: {seen.why}, until {seen.until}" for seen in refused)
    name = provider.cloud.name
    marks = [m.until for slot, m in busy.marks.items() if slot[0] == name and now < m.until]
    limited = [f"busy or at its limit until {wall(max(marks))}"] if marks else []
    why = provider.cloud.why_off or provider.why or "; ".join([*told, *limited])
    return ProviderSeen(name, provider.state(now), why or None, keys, refused)
