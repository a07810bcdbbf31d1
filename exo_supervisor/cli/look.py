"""The verbs that look at a running service, or hold one of its breakers."""

import sys
import time
from collections.abc import Callable

from exo_supervisor.cli import tables
from exo_supervisor.cli.errors import UNREACHABLE, VerbError, misuse
from exo_supervisor.cli.http import in_path, in_query, told, view
from exo_supervisor.cli.json_view import word
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import clean, note, say
from exo_supervisor.client.json_object import Fields, fields

POLL = 0.1
"""Seconds between two looks while `status --wait` waits."""
_ACTS = ("open", "close", "auto")


def status(arguments: Arguments) -> int:
    """Say whether the service can serve, and what to do if not; not ready is no failure."""
    if arguments.wait is not None:
        _wait_until_looked(arguments, time.monotonic() + arguments.wait)
    return show(
        arguments, "/supervisor/status", lambda body: tables.status(body, time.time(), sys.stdout)
    )


def _wait_until_looked(arguments: Arguments, give_up: float) -> None:
    """Wait until the service is ready, or has looked at everything once; raises if none answers."""
    from exo_supervisor.cli.waiting import Waiting

    with Waiting(lambda: "waiting for the service and its first look"):
        while True:
            left = give_up - time.monotonic()
            try:
                body = view(arguments, "/supervisor/status")
            except VerbError as error:
                if error.exit_code != UNREACHABLE or left <= 0:
                    raise
            else:
                if body.get("ready") is True or body.get("looking") is not True or left <= 0:
                    return
            time.sleep(min(POLL, max(left, 0.0)))


def nodes(arguments: Arguments) -> int:
    """List the nodes, and for each that is stuck why and what to do; or trust or forget some."""
    if arguments.forget or arguments.words or arguments.all:
        from exo_supervisor.cli.trust import forget, trust

        return forget(arguments) if arguments.forget else trust(arguments)
    from exo_supervisor.cli.nodes import nodes as node_lines

    return show(
        arguments, "/supervisor/nodes", lambda body: node_lines(body, time.time(), sys.stdout)
    )


def clients(arguments: Arguments) -> int:
    """List who asks, what each may, and what each used today."""
    from exo_supervisor.cli.books import clients as rows

    return show(arguments, "/supervisor/clients", lambda body: rows(body, sys.stdout))


def egress(arguments: Arguments) -> int:
    """Say what left the house, by day, provider and client; nothing is a number, too."""
    from exo_supervisor.cli.books import egress as rows

    return show(arguments, "/supervisor/egress", lambda body: rows(body, sys.stdout))


def breaker(arguments: Arguments) -> int:
    """List the breakers that are not closed, or hold one open or closed, or let it go."""
    if not arguments.words:
        if arguments.model:
            raise misuse(
                "--model belongs to one breaker",
                f"exo-supervisor breaker TARGET open --model {arguments.model}",
            )
        return show(
            arguments,
            "/supervisor/breakers",
            lambda body: tables.breakers(body, time.time(), sys.stdout),
        )
    target, act = [*arguments.words, ""][:2]
    if act not in _ACTS:
        raise misuse(
            f"breaker wants open, close or auto after the target, got `{act}`"
            if act
            else "breaker wants open, close or auto after the target",
            f"exo-supervisor breaker {target} open",
        )
    return _hold(arguments, target, act)


def show(arguments: Arguments, path: str, text: Callable[[Fields], str]) -> int:
    """Ask the service for a view and print it: unchanged, or as text for eyes."""
    if (body := told(arguments, path)) is not None:
        say(text(body))
    return 0


def _hold(arguments: Arguments, target: str, act: str) -> int:
    query = "?" + in_query({"model": arguments.model}) if arguments.model else ""
    path = f"/supervisor/breakers/{in_path(target, ':')}/{act}{query}"
    if (answer := told(arguments, path, "POST")) is None:
        return 0
    now = fields(answer.get("breaker"))
    state = word(now.get("state"))
    held = ", held by the operator" if now.get("forced") else ""
    named = clean(target) + (f" {clean(arguments.model)}" if arguments.model else "")
    if answer.get("changed") is False:
        say(f"{named}: already {state}{held}")
        return 0
    say(f"{named}: {word(answer.get('was'))} -> {state}{held}")
    if act != "auto":
        finer = f" --model {arguments.model}" if arguments.model else ""
        note(f"undo: exo-supervisor breaker {target} auto{finer}")
        note("a restart of the service lets it go, too")
    return 0
