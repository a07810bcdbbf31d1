"""What is said of a fault that no verb foresaw: one sentence, and the rest on demand."""

import os
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

from exo_supervisor.app import files
from exo_supervisor.cli.errors import VerbError
from exo_supervisor.cli.parse import parse
from exo_supervisor.cli.term import remark
from exo_supervisor.cli.verbs import PROGRAM
from exo_supervisor.errors import SupervisorError
from exo_supervisor.runtime.supervise import describe_crash


def explain(fault: Exception, given: Sequence[str]) -> VerbError:
    """Return the error to show; print the traceback first where debugging is asked for."""
    if _debugging(given):
        remark("".join(traceback.format_exception(fault)).rstrip())
        return VerbError(_sentence(fault))
    words = " ".join(word for word in given if word != "--debug")
    return VerbError(
        _sentence(fault),
        why=describe_crash(fault)[:1],
        hint=f"{PROGRAM} {words} --debug, and report what it prints",
    )


def _sentence(fault: Exception) -> str:
    """Name what broke; an exception's own text may hold a prompt or a key, errno's may not."""
    kind = type(fault).__name__
    if isinstance(fault, ExceptionGroup):
        inner: list[Exception] = [*cast("ExceptionGroup[Exception]", fault).exceptions]
        if len(inner) == 1:
            return _sentence(inner[0])
    if isinstance(fault, OSError) and fault.strerror:
        where = f": {fault.filename}" if isinstance(fault.filename, str) else ""
        return f"unexpected {kind}: {fault.strerror.lower()}{where}"
    return f"unexpected {kind}: this is a fault of {PROGRAM}"


def _debugging(given: Sequence[str]) -> bool:
    if "--debug" in given:
        return True
    with suppress(SupervisorError, OSError, ValueError):
        asked = parse(given)
        return files.load(asked.config, None, os.environ).config.log.level == "debug"
    return False
