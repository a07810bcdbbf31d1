"""Sets the log up: one JSON object a line, or a short line for eyes, never blocking the loop.

Nothing of a prompt comes here. A target's words may repeat it: `serve.reports` takes out of them
what the request said. `views.facts` is the second line: a fact of a prompt's name is not written.
Of what libraries log their template alone is.
"""

import inspect
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from time import monotonic
from typing import BinaryIO, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from exo_supervisor.host.log_limit import LogLimit
from exo_supervisor.host.log_line import console_line, head, json_line
from exo_supervisor.host.log_sink import LogSink
from exo_supervisor.host.log_writer import LogWriter
from exo_supervisor.runtime.supervise import describe_crash
from exo_supervisor.views.facts import safe_fact

Render = Callable[[dict[str, object]], bytes]
Format = Literal["json", "console", "auto"]

LAST_LINES = 2.0
"""Seconds that the last lines have to get out, and the last spans."""
_LEVELS = {"warn": "warning", "exception": "error", "fatal": "critical", "msg": "info"}
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
    limiter = Limiter(LogLimit(monotonic), lambda left: writer.write(render(left)))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            limiter,
            _Composer(render),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *names: _Logger(writer, *names),
        cache_logger_on_first_use=False,  # loggers made at import must see a later configuration
    )
    _borrow_library_logs()
    quick = render is json_line and level in {"debug", "info"}
    return LogSink(writer, limiter.turn if quick else None)


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
        self.turn()
        if not self._limit.allows(str(facts.get("event", "")), facts.get("code")):
            raise structlog.DropEvent
        return facts

    def turn(self) -> None:
        """Tell what was left out in the last minute, once that is over."""
        if left := self._limit.left_out():
            facts = {"lines": sum(left.values()), "events": safe_fact("events", left)}
            self._tell(head("warning", "log_lines_left_out", "host.logs") | facts)


class _Composer:
    """The last processor: builds the whole line from the facts and renders it."""

    def __init__(self, render: Render) -> None:
        self._render = render

    def __call__(self, logger: _Logger, method: str, facts: EventDict) -> bytes:
        line: dict[str, object] = head(
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


def _dropped(lines: int) -> dict[str, object]:
    return head("warning", "log_lines_dropped", "host.logs") | {"lines": lines}


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
        return json_line
    plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb" or not terminal
    return lambda line: console_line(line, colour=not plain)


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
        level = min(record.levelno // 10 * 10, logging.CRITICAL)  # a library may have its own
        self._log.bind(logger=record.name, **facts).log(level, "library_warned")


def _borrow_library_logs() -> None:
    root = logging.getLogger()
    for handler in root.handlers.copy():
        if isinstance(handler, _LibraryHandler):
            root.removeHandler(handler)
    root.addHandler(_LibraryHandler())
