"""The words of the matrix: where a fault strikes, how it was asked, and what it comes to."""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, get_args

from msgspec import Struct

from exo_supervisor.core.names import Generation
from exo_supervisor.demo import Disease

Place = Generation | Literal["cloud", "anthropic"]
Dialect = Literal["chat", "messages", "responses", "ollama"]
"""What the client speaks; a target at `anthropic` speaks Messages, all others chat."""
Mode = Literal["stream", "plain"]
Client = Literal["whole", "rescued", "error", "broken", "half"]
"""The whole answer of the target that was asked first; of another; an error; a stream that ends in
an error event and a cut; and what may never be: anything else."""
Booked = Literal["target", "model", "both", "none"]
"""Which breaker of the first target counts a failure."""
Kind = Literal["quick", "heavy", "mute", "slow", "stalling", "vouched", "walled"]
"""Whether it takes next to nothing, much work, the time of a timer (until the head, the first
content, between two pieces, until the state was asked), or that of connecting."""
Wire = Literal["tcp", "no_route", "dns", "tls"]

WAIT_AT: Final[Mapping[Kind, tuple[Place, ...]]] = {
    "heavy": ("B",),
    "mute": ("cloud",),
    "slow": ("A", "cloud"),
    "stalling": ("cloud",),
    "vouched": ("C",),
}
"""Where the suite's one cell of a row waits: a house of its own for each kind and place."""
PLACES: Final[tuple[Place, ...]] = ("A", "B", "C", "cloud", "anthropic")
SPREAD: Final[Mapping[Dialect, tuple[Place, ...]]] = {
    "chat": PLACES,
    "messages": ("C", "cloud", "anthropic"),
    "responses": ("C", "cloud", "anthropic"),
    "ollama": ("C", "cloud", "anthropic"),
}
"""Where a client of each dialect asks: who serves is read alike, whatever the client speaks."""
MODES: Final[tuple[Mode, ...]] = get_args(Mode)


class Told(Struct, frozen=True):
    """What one request came to; what breakers, headers and the log say of it.

    `fault` is the breaker's last word, so it is told only where one counts; `lines` are those of
    the log that speak of this request's end.
    """

    client: Client
    fault: str | None = None
    booked: Booked = "none"
    attempts: int = 1
    shift: str | None = None
    status: int = 200
    code: str | None = None
    outcome: str = "success"
    lines: int = 1


class Row(Struct, frozen=True):
    """One fault; `plain` and `but` say where it comes to something else, None to nothing.

    `but` names a place, alone, with a mode, or with a dialect and a mode; what it says of `cloud`
    holds for `anthropic`, too, unless that is named.
    """

    name: str
    disease: Disease
    stream: Told
    plain: Told | None = None
    but: Mapping[str, Told | None] = {}
    kind: Kind = "quick"
    tools: bool = False
    wire: Wire = "tcp"

    def told(self, place: Place, dialect: Dialect, mode: Mode) -> Told | None:
        """Say what the fault comes to, None where there is no such thing."""
        usual = self.plain if mode == "plain" and self.plain else self.stream
        places = ("anthropic", "cloud") if place == "anthropic" else (place,)
        ways = (f"-{dialect}-{mode}", f"-{mode}", "")
        names = (each + way for each in places for way in ways)
        named = next((name for name in names if name in self.but), None)
        return usual if named is None else self.but[named]


class Cell(Struct, frozen=True):
    """One fault at one place, for a client that asks in one way."""

    row: Row
    place: Place
    dialect: Dialect
    mode: Mode
    told: Told

    @property
    def id(self) -> str:
        """Name the cell."""
        return f"{self.row.name}-{self.place}-{self.dialect}-{self.mode}"


def whole() -> Told:
    """Say that the first target's answer comes whole."""
    return Told("whole")


def rescued(fault: str | None, booked: Booked, attempts: int = 2) -> Told:
    """Say that another target answers, as if nothing had been."""
    return Told("rescued", fault, booked, attempts, shift="attempt_failed")


def busy(attempts: int = 2) -> Told:
    """Say that another target answers, and nobody is blamed."""
    return Told("rescued", attempts=attempts, shift="busy")


def rejected(status: int) -> Told:
    """Say that the client learns what is wrong with its request."""
    return Told("error", status=status, code="upstream_rejected", outcome="neutral")


def broken(fault: str, booked: Booked) -> Told:
    """Say that the stream ends so that nobody can take it for whole."""
    return Told("broken", fault, booked, code="attempts_failed", outcome="failure")


def cells(rows: tuple[Row, ...]) -> dict[str, Cell]:
    """Spread rows over places, dialects and modes."""
    spread = (
        Cell(row, place, dialect, mode, told)
        for row in rows
        for dialect, places in SPREAD.items()
        for place in places
        for mode in MODES
        if (told := row.told(place, dialect, mode)) is not None
    )
    return {cell.id: cell for cell in spread}


def one_of_each(rows: tuple[Row, ...]) -> Iterator[str]:
    """Name one cell of each row, another place and client each time.

    Rows that wait for a timer do so at few places, all of one kind at once.
    """
    for number, row in enumerate(rows):
        places = WAIT_AT.get(row.kind, PLACES)
        names = [cell.id for cell in cells((row,)).values() if cell.place in places]
        yield names[number % len(names)]
