"""The verbs of `exo-supervisor`: each answers at once, and fails with a reason and a next step."""

import gc
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import cast

from exo_supervisor.cli.errors import FAILED, USAGE, VerbError
from exo_supervisor.cli.parse import Arguments, parse
from exo_supervisor.cli.term import remark, say, tell
from exo_supervisor.cli.verbs import VERBS
from exo_supervisor.errors import SupervisorError

YOUNG = 20_000
"""New objects between two looks of the collector: what an import makes is no garbage."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code; a signal that ends it ends the process.

    Codes: 0 done, 1 failed, 2 usage, 69 service not reachable, 78 bad configuration.
    """
    gc.set_threshold(YOUNG)
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        return _answer(given)
    except KeyboardInterrupt:
        return _die_of("SIGINT")
    except Exception as raised:  # noqa: BLE001 - a person gets a sentence, whatever broke
        return _told(raised, given)


def _told(raised: Exception, given: Sequence[str]) -> int:
    """Say what a verb raised, and return the exit code; a group of one is what it holds."""
    fault = raised
    while isinstance(fault, ExceptionGroup):
        inner: tuple[Exception, ...] = cast("ExceptionGroup[Exception]", fault).exceptions
        if len(inner) != 1:
            break
        fault = inner[0]
    if isinstance(fault, BrokenPipeError):
        return _die_of("SIGPIPE")
    if not isinstance(fault, SupervisorError):
        # The module is imported late: no verb that works pays for it.
        from exo_supervisor.cli.unexpected import explain

        fault = explain(raised, given)
    return _fail(cast("SupervisorError", fault), as_json="--json" in given)


def _answer(given: Sequence[str]) -> int:
    arguments = parse(given)
    verb = VERBS.get(arguments.verb)
    if arguments.help or verb is None:
        from exo_supervisor.cli import usage

        (say if arguments.help else remark)(usage.of_verb(verb) if verb else usage.overview())
        return 0 if arguments.help else USAGE
    # Imported when called: a look at the socket must not pay for the whole service.
    module = __import__(f"exo_supervisor.cli.{verb.module or verb.name}", fromlist=[verb.name])
    return cast("Callable[[Arguments], int]", getattr(module, verb.name))(arguments)


def _fail(error: SupervisorError, *, as_json: bool) -> int:
    known = error if isinstance(error, VerbError) else VerbError(str(error))
    with suppress(BrokenPipeError, VerbError):
        if not as_json:
            tell(known)
        elif known.body:
            remark(known.body.decode("utf-8", "replace").rstrip("\n"))
        else:
            said = {"message": known.message, "code": known.code}
            remark(json.dumps({"error": {**said, "why": known.why, "try": known.hint}}))
    # What standard output could not take would be tried again at exit, and change the code.
    with suppress(OSError, ValueError):
        _flush_or_drop()
    return known.exit_code or FAILED


def _flush_or_drop() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _die_of(name: str) -> int:
    """End as the shell expects of a program that a signal ended."""
    import signal

    number = signal.Signals[name]
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number
