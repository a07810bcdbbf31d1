"""A call of a tool as an output item: of a function, or of a custom tool, which takes a text."""

from typing import cast

from msgspec import Raw, Struct, field

from exo_supervisor.wire.lenient_json import dumps, value
from exo_supervisor.wire.openai.calls import Call
from exo_supervisor.wire.openai.merged import Grown
from exo_supervisor.wire.responses.tools import INPUT, Named
from exo_supervisor.wire.untrusted_json import UNREADABLE

_UNNAMED = Named("")
_NO_ARGUMENTS = b'"{}"'


class Called(Struct):
    """A call and the item that it is, which has an id as soon as the tool's name is known."""

    call: Call
    id: str = ""
    call_id: str = ""
    place: int = 0
    named: Named = _UNNAMED
    arguments: Grown = field(default_factory=Grown)
    text: Grown = field(default_factory=Grown)
    """What the item has for its arguments, or its input."""
    status: str = "in_progress"
    done: bool = False

    def told(self) -> dict[str, object]:
        """Return the item, for `write`."""
        custom = self.named.custom
        item: dict[str, object] = {
            "id": self.id,
            "type": "custom_tool_call" if custom else "function_call",
            "status": self.status,
            "call_id": self.call_id,
            "name": self.named.name,
            self.text_name(): self.text,
        }
        space = self.named.namespace
        return item if space is None else item | {"namespace": space}

    def at(self) -> dict[str, object]:
        """Return where it stands, as events tell it."""
        return {"item_id": self.id, "output_index": self.place}

    def event(self) -> str:
        """Return how the events of its text are named."""
        kind = "custom_tool_call_input" if self.named.custom else "function_call_arguments"
        return f"response.{kind}"

    def text_name(self) -> str:
        """Return the name of its text."""
        return INPUT if self.named.custom else "arguments"

    def seal(self, *, cut: bool) -> bytes | None:
        """Take in that no more comes, and return what of its text was not told yet.

        None: the answer was cut off, and with it this call.
        """
        parts: list[bytes] = []
        self.arguments.write(parts)
        told = b"".join(parts)
        found = _object_in(told)
        if cut and found is None:
            self.status = "incomplete"
            self.text = self.arguments
            return None
        self.status = "completed"
        missing = b""
        if self.named.custom:
            told = missing = _input(told, found)
        elif not self.arguments:
            told = missing = _NO_ARGUMENTS
        self.text.add(told)
        return missing


def _object_in(text: bytes) -> dict[str, object] | None:
    """Return the object that a JSON text holds, None where it holds none."""
    try:
        inner = value(Raw(text))
        found = value(Raw(cast("str", inner).encode()))
    except UNREADABLE:
        return None
    return cast("dict[str, object]", found) if isinstance(found, dict) else None


def _input(text: bytes, found: dict[str, object] | None) -> bytes:
    """Return the text that a custom tool is called with; a model may leave out what is around."""
    told = (found or {}).get(INPUT)
    return dumps(told) if isinstance(told, str) else text
