"""What a client is told when its request goes nowhere at all."""

from collections.abc import Iterable, Sequence

from exo_supervisor.core.effects import Refuse, RefusedAs
from exo_supervisor.core.events import RequestArrived

SHORT = 80
"""Characters of a client's own model name that an error repeats, at most."""


def not_found(
    event: RequestArrived, similar: Sequence[str], placeable: Sequence[str], ready: Iterable[str]
) -> Refuse:
    """Say that nobody has this model, which names come near, and what is ready instead."""
    text = f"no node and no provider has the model {short(event.model)!r}"
    if similar:
        text += f"; similar: {', '.join(similar)}"
    if placeable:
        text += f"; Exo could place: {', '.join(placeable)}"
    return _refuse(event, 404, "model_not_found", text + _ready(ready))


def not_placed(event: RequestArrived, ready: Iterable[str]) -> Refuse:
    """Say that Exo knows this model but runs it nowhere, and what is ready instead."""
    name = short(event.model)
    text = f"Exo knows {name!r} but no node runs it: exo-supervisor models place {name}"
    return _refuse(event, 404, "model_not_placed", text + _ready(ready))


def _ready(models: Iterable[str]) -> str:
    names = ", ".join(sorted(models)[:3])
    return f"; ready now: {names}" if names else ""


def must_stay(event: RequestArrived) -> Refuse:
    """Say that only a cloud could serve what must not leave this network."""
    text = "this request must not leave this network, and only a cloud provider could serve it"
    return Refuse(request=event.request, status=403, code="privacy", message=text)


def end_of(code: str, attempts: int) -> RefusedAs:
    """Say what an error is: what the client asked for wrongly is no failure of ours.

    Decided here alone: the log line takes it from the `Refuse`, and the counts from `tally`.
    """
    if code == "deadline":
        return "abandoned"
    if code == "upstream_rejected":
        return "neutral"
    return "failure" if attempts and code != "model_not_found" else "refused"


def short(name: str) -> str:
    """Cut a client's own name to what an error may repeat."""
    return name if len(name) <= SHORT else name[:SHORT] + "..."


def _refuse(event: RequestArrived, status: int, code: str, text: str) -> Refuse:
    return Refuse(request=event.request, status=status, code=code, message=text, param="model")
