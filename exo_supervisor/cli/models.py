"""The verb that lists models, has one placed on Exo, or has one removed from it."""

import sys
import time

from exo_supervisor.cli import tables
from exo_supervisor.cli.errors import VerbError, misuse
from exo_supervisor.cli.http import in_path, told, view
from exo_supervisor.cli.json_view import texts, word
from exo_supervisor.cli.look import show
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import clean, note, on_terminal, say
from exo_supervisor.client.json_object import Fields, fields, objects

_ORDERS = ("place", "remove")
_UNDER_WAY = ("resting", "asked", "awaited", "removing")
PATIENCE = 45.0
"""Seconds for which an order's outcome is waited for: an election may hold it up."""
SHOWN = 1.0
"""Seconds for which a removed model may still be shown: the state is read at once, but after."""
PAUSE = 0.25
"""Seconds between two looks: the service has nothing to wait on for an order's outcome."""


def models(arguments: Arguments, *, patience: float = PATIENCE, pause: float = PAUSE) -> int:
    """List the models and who serves each, or carry out an order for one and see what comes of it.

    That takes at most `patience` seconds, with a `pause` between two looks.
    """
    if not arguments.words:
        return show(arguments, "/supervisor/models", lambda body: _listed(arguments, body))
    order, name = [*arguments.words, ""][:2]
    if order not in _ORDERS or not name:
        raise misuse(
            f"models wants place or remove and a name, got `{order}`",
            "exo-supervisor models place NAME",
        )
    path = f"/supervisor/models/{in_path(name)}"
    if order == "remove":
        _agree(arguments, name, fields(view(arguments, path).get("model")))
    before = fields(view(arguments, path).get("model"))
    if (answer := told(arguments, f"{path}/{order}", "POST")) is None:
        return 0
    row = fields(answer.get("model"))
    return _tell(order, clean(name), before, _outcome(arguments, order, path, row, patience, pause))


def _listed(arguments: Arguments, body: Fields) -> str:
    if objects(body.get("models")):
        return tables.models(body, sys.stdout)
    known = objects(view(arguments, "/supervisor/nodes").get("nodes"))
    up = [node for node in known if node.get("rung") not in ("seen", "reachable")]
    urls = [url for node in up for url in texts(node.get("url"))]
    if urls:
        return f"No model is placed: launch one at {urls[0]}"
    return "No model is known: exo-supervisor status says why"


def _agree(arguments: Arguments, name: str, row: Fields) -> None:
    """Ask before a model is taken from everybody who uses it; raises VerbError for a no."""
    if arguments.yes or arguments.json:
        return
    at = ", ".join(word(place.get("target")) for place in _at_exo(row)) or "no node"
    if not (on_terminal(sys.stdin) and on_terminal(sys.stderr)):
        raise misuse(
            f"{clean(name)} runs at {at}: removing it ends its answers there",
            f"exo-supervisor models remove {clean(name)} --yes",
        )
    sys.stderr.write(f"{clean(name)} runs at {at}; its answers end. Remove it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise VerbError("nothing was removed")


def _outcome(
    arguments: Arguments, order: str, path: str, row: Fields, patience: float, pause: float
) -> Fields:
    """Look at a model until nothing more is to come of an order, or patience is over."""
    from exo_supervisor.cli.waiting import Waiting

    sent = time.monotonic()
    with Waiting(lambda: f"waiting for Exo to {order} it, {patience:.0f} s at most"):
        while _goes_on(order, row, sent) and time.monotonic() < sent + patience:
            time.sleep(pause)
            row = fields(view(arguments, path).get("model"))
    return row


def _goes_on(order: str, row: Fields, sent: float) -> bool:
    """Say whether more is to come: what was removed is shown until the state is read again."""
    shown = order == "remove" and bool(_at_exo(row)) and time.monotonic() < sent + SHOWN
    return shown or _state(row) in _UNDER_WAY


def _tell(order: str, name: str, before: Fields, row: Fields) -> int:
    """Say what came of an order, old state to new."""
    was, now, placement = word(before.get("state")), word(row.get("state")), _state(row)
    why = "; ".join(texts(fields(row.get("placement")).get("why")))
    at = ", ".join(word(place.get("target")) for place in _at_exo(row))
    if order == "remove":
        if at:
            hint = "the log's model_removed says why"
            raise VerbError(f"{name} still stands at {at}", hint=hint)
        if not _at_exo(before):
            say(f"{name}: already on no node")
            return 0
        say(f"{name}: {was} -> {now}")
        note(f"undo: exo-supervisor models place {name}")
        return 0
    if placement in ("resting", "given_up"):
        raise VerbError(f"{name} was not placed", why=[why] if why else [])
    if not at:
        hint = "exo-supervisor models"
        raise VerbError(f"{name} was ordered, and nothing shows of it yet", hint=hint)
    say(f"{name}: already {now} at {at}" if _at_exo(before) else f"{name}: {was} -> {now} at {at}")
    return 0


def _state(row: Fields) -> str:
    """Name the stage of a model's placement; a rest after a failure is an end."""
    placement = fields(row.get("placement"))
    state = word(placement.get("state")) if placement else ""
    return "given_up" if state == "resting" and placement.get("failures") else state


def _at_exo(row: Fields) -> list[Fields]:
    """List the nodes at which a model stands: a node has a port, a provider has not."""
    return [place for place in objects(row.get("where")) if ":" in word(place.get("target"))]
