"""The log as a sink: a line for each request, and for each thing that the core announces."""

import structlog
from msgspec import structs

from exo_supervisor.core.effects import Announce
from exo_supervisor.host.log_writer import LogWriter
from exo_supervisor.views.request_done import RequestDone

request_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("serve")
announce_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("announce")


class LogSink:
    """What was configured: whoever did closes it at exit."""

    name = "log"

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    def done(self, record: RequestDone) -> None:
        """Write a request's line."""
        request_log.info("request_done", **structs.asdict(record))

    def announce(self, said: Announce) -> None:
        """Write what the core announces."""
        getattr(announce_log, said.level)(said.name, **said.facts)

    def close(self, timeout: float) -> None:
        """Write what is queued, for at most `timeout` seconds; later lines are dropped."""
        self._writer.close(timeout)
