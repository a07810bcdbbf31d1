"""What is wrong with a configuration, where, and what would be right."""

import re
from typing import Literal

from msgspec import Struct

from exo_supervisor.config.literal import printable
from exo_supervisor.errors import SupervisorError

Kind = Literal["unknown_key", "wrong_type", "bad_value", "not_built", "syntax"]

_WINDOW = 120  # characters of a source line that are shown
_BEFORE = 60  # of them before the fault, where the line is longer

# A line may hold a secret that someone wrote into the file: what follows is not shown.
_SECRETIVE = re.compile(
    r"(?i)(?:key|token|secret|passw|auth|credential|bearer)[\w.\"'-]*[ \t]*[=:]"
)
_URL_WITH_MORE = re.compile(r"://(?=[^\"']*[@?#])")


class ConfigFault(Struct, frozen=True, kw_only=True):
    """One fault; `file` is a file, an environment variable or a flag; lines and columns from 1."""

    file: str
    line: int | None
    column: int | None
    key: str
    kind: Kind
    message: str
    source: str
    width: int
    hint: str

    def render(self) -> str:
        where = printable(self.file)
        if self.line is not None and self.column is not None:
            where = f"{where}:{self.line}:{self.column}"
        if self.column is None or not self.source:
            tail = f"\n  {self.hint}" if self.hint else ""
            return f"{where}: error: {self.message}{tail}"
        shown, start, width = _excerpt(self.source, self.column - 1, self.width)
        number = str(self.line)
        caret = f"{' ' * start}{'^' * width} {self.hint}".rstrip()
        return (
            f"{where}: error: {self.message}\n  {number} | {shown}\n  {' ' * len(number)} | {caret}"
        )


class ConfigError(SupervisorError):
    """The configuration cannot be used; `faults` holds everything found, in file order."""

    def __init__(self, faults: tuple[ConfigFault, ...]) -> None:
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join(fault.render() for fault in self.faults)


class Position(Struct, frozen=True):
    """Where a value was written; without a line when it is not known for sure."""

    name: str
    line: int | None = None
    column: int | None = None
    width: int = 0
    source: str = ""

    @property
    def origin(self) -> str:
        return self.name if self.line is None else f"{self.name}:{self.line}"

    def fault(self, key: str, kind: Kind, message: str, hint: str = "") -> ConfigFault:
        return ConfigFault(
            file=self.name,
            line=self.line,
            column=self.column,
            key=key,
            kind=kind,
            message=message,
            source=self.source,
            width=self.width,
            hint=hint,
        )


def _excerpt(line: str, start: int, width: int) -> tuple[str, int, int]:
    """Give a part of the line fit to be shown, and where the caret stands in it."""
    kept = min((m.end() for m in (_SECRETIVE.search(line), _URL_WITH_MORE.search(line)) if m),
               default=len(line))  # fmt: skip
    if kept < len(line):
        line = line[:kept] + " ..."
        start = min(start, kept + 1)
    if len(line) > _WINDOW:
        cut = max(0, start - _BEFORE)
        line, start = line[cut : cut + _WINDOW], start - cut
    return printable(line), start, max(1, min(width, len(line) - start))
