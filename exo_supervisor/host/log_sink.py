"""The log as a sink: a line for each request, and for each thing that the core announces."""

from collections.abc import Callable

import structlog

from exo_supervisor.core.effects import Announce
from exo_supervisor.host.log_line import request_line
from exo_supervisor.host.log_writer import LogWriter
from exo_supervisor.views.request_done import RequestDone

request_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("serve")
announce_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("announce")


class LogSink:
    """Where the lines go: whoever configured them closes it at exit.

    `allows` is None where a request's line goes the long way, through structlog, as all others do;
    else it is asked of each, by its event and code, and the quick way writes the very same line.
    """

    name = "log"

    def __init__(self, writer: LogWriter, allows: Callable[[str, str | None], bool] | None) -> None:
        self._writer, self._allows = writer, allows

    def done(self, record: RequestDone) -> None:
        """Write a request's line."""
        text = None if self._allows is None else request_line(record.line)
        if self._allows is None or text is None:
            request_log.info("request_done", **record.line.facts())
        elif self._allows("request_done", record.line.code):
            self._writer.write(text)

    def announce(self, said: Announce) -> None:
        """Write what the core announces."""
        getattr(announce_log, said.level)(said.name, **said.facts)

    def close(self, timeout: float) -> None:
        """Write what is queued, for at most `timeout` seconds; later lines are dropped."""
        self._writer.close(timeout)
