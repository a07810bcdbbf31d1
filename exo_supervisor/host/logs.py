"""Sets the log up: one JSON object a line, or a short line for eyes, never blocking the loop."""

import inspect
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import BinaryIO, Literal, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from exo_supervisor.host.facts import safe_fact, safe_text
from exo_supervisor.host.log_limit import LogLimit
from exo_supervisor.host.log_sink import LogSink
from exo_supervisor.host.log_writer import LogWriter
from exo_supervisor.runtime.supervise import describe_crash

Render = Callable[[dict[str, object]], bytes]
Format = Literal["json", "console", "auto"]

_MOST_BYTES = 8192  # of one line
_MOST_SHORT = 100  # characters of a fact that stays in a line which had to be cut
_LEVELS = {"warn": "warning", "exception": "error", "fatal": "critical", "msg": "info"}
_COLOURS = {"debug": "2", "info": "0", "warning": "33", "error": "31", "critical": "31"}
_UNSEEN = re.compile(r"[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
_NOT_A_TEMPLATE = re.compile(r"[\n<({\[\"=]")


def configure(level: str, fmt: Format, *, stream: BinaryIO | None = None) -> LogSink:
    """Send structlog's lines, and the warnings of libraries, to `stream` (standard error).

    `level` is debug, info, warning, error or critical. The caller closes the sink at exit.
    A line's `logger` is the module that logs, or the name given as in `get_logger("announce")`.
    """
    stderr = cast("TextIO | None", sys.stderr)  # None when it was closed before the start
    if stream is None and stderr is not None:
        stream = stderr.buffer
    render = _choose(fmt, stream, os.environ)
    writer = LogWriter(stream, lambda lines: render(_dropped(lines)))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            Limiter(LogLimit(monotonic), lambda left: writer.write(render(left))),
            _Composer(render),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *names: _Logger(writer, *names),
        cache_logger_on_first_use=False,  # loggers made at import must see a later configuration
    )
    _borrow_library_logs()
    return LogSink(writer)


class _Logger:
    """What structlog hands finished lines to, under the name it was asked for, if any."""

    __slots__ = ("name", "write")

    def __init__(self, writer: LogWriter, name: str = "") -> None:
        self.name = name
        self.write = writer.write

    def __getattr__(self, _level: str) -> Callable[[bytes], None]:
        return self.write  # structlog calls by the level's name, and the line has it


class Limiter:
    """Lets no event fill the disk: what others make us say, they may make us say often."""

    def __init__(self, limit: LogLimit, tell: Callable[[dict[str, object]], None]) -> None:
        self._limit, self._tell = limit, tell

    def __call__(self, _: object, __: str, facts: EventDict) -> EventDict:
        left = self._limit.left_out()
        if left:
            head = _head("warning", "log_lines_left_out", "host.logs")
            self._tell(head | {"lines": sum(left.values()), "events": safe_fact("events", left)})
        if not self._limit.allows(str(facts.get("event", "")), facts.get("code")):
            raise structlog.DropEvent
        return facts


class _Composer:
    """The last processor: builds the whole line from the facts and renders it."""

    def __init__(self, render: Render) -> None:
        self._render = render

    def __call__(self, logger: _Logger, method: str, facts: EventDict) -> bytes:
        line: dict[str, object] = _head(
            _LEVELS.get(method, method),
            str(facts.pop("event", "")),
            facts.pop("logger", None) or logger.name or _calling_module(),
        )
        fault = _fault(facts.pop("exc_info", None))
        if fault is not None:
            line["crash"] = describe_crash(fault)
        facts.pop("stack_info", None)
        for key, value in facts.items():
            if key not in line:
                line[key] = safe_fact(key, value)
        return self._render(line)


def _head(level: str, event: str, logger: object) -> dict[str, object]:
    now = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return {
        "ts": f"{now}Z",
        "level": level,
        "event": safe_text(event),
        "logger": safe_text(str(logger)),
    }


def _dropped(lines: int) -> dict[str, object]:
    return _head("warning", "log_lines_dropped", "host.logs") | {"lines": lines}


def _calling_module() -> str:
    """Name the module that logs, without the package: `serve.ingress`."""
    frame = inspect.currentframe()
    while frame is not None:
        name = str(frame.f_globals.get("__name__", "?"))
        if name != __name__ and not name.startswith("structlog."):
            return name.removeprefix("exo_supervisor.")
        frame = frame.f_back
    return "?"


def _fault(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    return sys.exc_info()[1] if exc_info else None


def _choose(fmt: Format, stream: BinaryIO | None, environ: Mapping[str, str]) -> Render:
    terminal = stream is not None and not stream.closed and stream.isatty()
    if fmt == "json" or (fmt == "auto" and not terminal):
        return _json_line
    plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb" or not terminal
    return lambda line: _console_line(line, colour=not plain)


def _json_line(line: dict[str, object]) -> bytes:
    text = msgspec.json.encode(line)
    if len(text) > _MOST_BYTES:
        short = {key: fact for key, fact in line.items() if _is_short(fact)}
        text = msgspec.json.encode(short | {"line_cut_from": len(text)})
    return _escaped(text) + b"\n"


def _escaped(text: bytes) -> bytes:
    """Escape what a terminal obeys or hides, and JSON allows as it is: U+007F, U+009B, U+202E."""
    if text.isascii() and b"\x7f" not in text:
        return text
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text.decode()).encode()


def _is_short(fact: object) -> bool:
    return not isinstance(fact, dict | list) and len(str(fact)) <= _MOST_SHORT


def _console_line(line: dict[str, object], *, colour: bool) -> bytes:
    """Render `12:30:00 warning traffic_shifted from=exo to=cloud (serve.exchange)`."""
    facts = dict(line)
    moment, level = str(facts.pop("ts"))[11:19], str(facts.pop("level"))
    event, logger = _word(facts.pop("event")), _word(facts.pop("logger"))
    words = " ".join([event, *(f"{_word(key)}={_word(fact)}" for key, fact in facts.items())])
    if not colour:
        return f"{moment} {level:<8} {words} ({logger})\n".encode()
    moment, logger = _painted("2", moment), _painted("2", f"({logger})")
    level = _painted(_COLOURS.get(level, "0"), f"{level:<8}")
    return f"{moment} {level} {words} {logger}\n".encode()


def _painted(colour: str, text: str) -> str:
    return f"\033[{colour}m{text}\033[0m"


def _word(fact: object) -> str:
    """Write a fact as one word of printable ASCII: names from the network stay harmless."""
    text = fact if isinstance(fact, str) else msgspec.json.encode(fact).decode()
    if text.isascii() and text.isprintable() and not re.search(r'[\s"]', text):
        return text
    return ascii(text)


class _LibraryHandler(logging.Handler):
    """Takes the warnings of aiohttp, asyncio and zeroconf, of each only what holds no data.

    Their arguments and exceptions carry raw request bytes, so the message's template alone is
    kept; a template that was formatted before it came here is cut where its data may begin.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._log: FilteringBoundLogger = structlog.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        template = record.msg if isinstance(record.msg, str) else type(record.msg).__qualname__
        facts: dict[str, object] = {"message": _NOT_A_TEMPLATE.split(template, 1)[0].strip()}
        if record.exc_info and record.exc_info[0]:
            facts["fault"] = record.exc_info[0].__qualname__
        log = self._log.bind(logger=record.name, **facts)
        if record.levelno >= logging.CRITICAL:
            log.critical("library_warned")
        elif record.levelno >= logging.ERROR:
            log.error("library_warned")
        else:
            log.warning("library_warned")


def _borrow_library_logs() -> None:
    root = logging.getLogger()
    for handler in root.handlers.copy():
        if isinstance(handler, _LibraryHandler):
            root.removeHandler(handler)
    root.addHandler(_LibraryHandler())
