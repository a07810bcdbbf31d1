"""The log as a sink: a line for each request, and for each thing that the core announces."""

from collections.abc import Callable

import structlog

from exo_supervisor.core.effects import Announce
from exo_supervisor.host.log_limit import LIMITED
from exo_supervisor.host.log_line import request_line
from exo_supervisor.host.log_writer import LogWriter
from exo_supervisor.views.request_done import RequestDone

request_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("serve")
announce_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("announce")


class LogSink:
    """Where the lines go: whoever configured them closes it at exit.

    `turn` is None where a request's line goes the long way, through structlog, as all others do;
    else it tells what was left out, as that way does before each line, and the quick way writes the
    very same line, unless it is of those whose number is limited.
    """

    name = "log"

    def __init__(self, writer: LogWriter, turn: Callable[[], None] | None) -> None:
        self._writer, self._turn = writer, turn

    def done(self, record: RequestDone) -> None:
        """Write a request's line."""
        line = record.line
        if self._turn is not None and line.code not in LIMITED:
            text = request_line(line)
            if text is not None:
                self._turn()
                self._writer.write(text)
                return
        request_log.info("request_done", **line.facts())

    def announce(self, said: Announce) -> None:
        """Write what the core announces."""
        getattr(announce_log, said.level)(said.name, **said.facts)

    def close(self, timeout: float) -> None:
        """Write what is queued, for at most `timeout` seconds; later lines are dropped."""
        self._writer.close(timeout)
