"""Keeps one service alive: restarts it, ever slower, and gives up upwards."""

from types import TracebackType
from typing import Protocol, cast

import anyio
import structlog

from exo_supervisor.errors import RestartsSpentError
from exo_supervisor.runtime.restarts import Restarts

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

_MOST_CAUSES = 6
_MOST_FRAMES = 10


class Service(Protocol):
    """One long-running job. Returning means finished; raising means restart me."""

    @property
    def name(self) -> str: ...

    async def run(self) -> None: ...


async def supervise(service: Service, restarts: Restarts) -> None:
    """Run a service until it returns.

    Raises RestartsSpentError when it is essential and has crashed too often.
    """
    while True:
        try:
            return await service.run()
        except Exception as fault:  # noqa: BLE001 - any crash restarts it; cancellation passes
            crash = describe_crash(fault)
        # Outside the handler, so that no log line or raised error can chain the crash's own text.
        restarts, pause = restarts.spend(anyio.current_time())
        log.error(
            "service_crashed",
            service=service.name,
            crash=crash,
            restart_in=pause,
            degraded=restarts.spent and not restarts.essential,
        )
        if pause is None:
            raise RestartsSpentError(
                f"{service.name} keeps crashing and was given up; "
                "see service_crashed in the log for where"
            )
        await anyio.sleep(pause)


def describe_crash(crash: BaseException) -> list[str]:
    """Say what was raised and where, one line for the crash and each of its causes.

    Types and places only: an exception's text and its local values may hold a prompt or a key.
    """
    lines: list[str] = []
    waiting: list[BaseException] = [crash]
    while waiting and len(lines) < _MOST_CAUSES:
        cause = waiting.pop(0)
        lines.append(" < ".join([type(cause).__qualname__, *_places(cause.__traceback__)]))
        if isinstance(cause, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", cause).exceptions
        elif cause.__cause__ is not None:
            waiting.append(cause.__cause__)
        elif cause.__context__ is not None and not cause.__suppress_context__:
            waiting.append(cause.__context__)
    return lines


def _places(trace: TracebackType | None) -> list[str]:
    """Name the frames of a traceback, innermost first, as `module.function:line`."""
    places: list[str] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        module = str(trace.tb_frame.f_globals.get("__name__", "?"))
        places.append(f"{module}.{code.co_qualname}:{trace.tb_lineno}")
        trace = trace.tb_next
    return places[: -_MOST_FRAMES - 1 : -1]
