"""What a client is told when its request goes nowhere at all."""

from collections.abc import Iterable, Sequence

from exo_supervisor.core.effects import Refuse
from exo_supervisor.core.events import RequestArrived

SHORT = 80
"""Characters of a client's own model name that an error repeats, at most."""


def not_found(event: RequestArrived, similar: Sequence[str]) -> Refuse:
    """Say that nobody has this model, and which names come near."""
    text = f"no node and no provider has the model {short(event.model)!r}"
    if similar:
        text += f"; similar: {', '.join(similar)}"
    return _refuse(event, 404, "model_not_found", text)


def not_placed(event: RequestArrived, ready: Iterable[str]) -> Refuse:
    """Say that Exo knows this model but runs it nowhere, and what is ready instead."""
    text = f"Exo knows {short(event.model)!r} but no node runs it: launch it on Exo's dashboard"
    if names := ", ".join(sorted(ready)[:3]):
        text += f"; ready now: {names}"
    return _refuse(event, 404, "model_not_placed", text)


def must_stay(event: RequestArrived) -> Refuse:
    """Say that only a cloud could serve what must not leave this network."""
    text = "this request must not leave this network, and only a cloud provider could serve it"
    return Refuse(request=event.request, status=403, code="privacy", message=text)


def short(name: str) -> str:
    """Cut a client's own name to what an error may repeat."""
    return name if len(name) <= SHORT else name[:SHORT] + "..."


def _refuse(event: RequestArrived, status: int, code: str, text: str) -> Refuse:
    return Refuse(request=event.request, status=status, code=code, message=text, param="model")
