"""Messages of Ollama's shape as messages of OpenAI's.

What is written of a message depends on it and on those before it alone, so that the prompt of the
next request begins with this one. Ollama's calls of tools have no ids: they are numbered in their
order, and a result belongs to the first call of its tool that has none yet.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Final

from msgspec import Raw

from exo_supervisor.wire.chat.body import wrong
from exo_supervisor.wire.chat.members import Members
from exo_supervisor.wire.chat.piece import NULL

Message = dict[str, object]

_IMAGES: Final = (
    ("/9j/", "image/jpeg"),
    ("iVBOR", "image/png"),
    ("R0lG", "image/gif"),
    ("UklGR", "image/webp"),
)
"""How the base64 of an image begins, which alone tells what it is."""
_ROLES: Final = frozenset({"system", "user", "assistant", "tool"})


class Function(Members):
    """What is called; the arguments are an object. Its place is where it stands."""

    harmless = frozenset({"index"})

    name: str
    arguments: Raw = NULL


class ToolCall(Members):
    """One call of a tool, there is one type; newer clients repeat the id that they were told."""

    harmless = frozenset({"type"})

    function: Function
    id: str | None = None


class Turn(Members):
    """One member of `messages`."""

    role: str
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class Conversation:
    """Makes messages of turns."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._calls = 0
        self._open = defaultdict[str | None, deque[tuple[int, str]]](deque)
        """The number and id of each call, by its tool, and of all under None.

        Those that have their result leave once they are first in their line.
        """
        self._answered: dict[str, int] = {}
        """Ids that a result has named, and the number of the last call before it."""

    def add(self, turn: Turn, at: int) -> None:
        """Add the next turn, the one at this index; raises BadRequestError."""
        if turn.role not in _ROLES:
            raise wrong(f"messages[{at}].role", "it is system, user, assistant or tool")
        said = turn.content or ""
        message: Message = {"role": turn.role, "content": said}
        if turn.images:
            message["content"] = with_images(said, turn.images)
        if turn.role == "tool":
            identity = turn.tool_call_id or self._next(turn.tool_name)
            self._answered[identity] = self._calls
            message["tool_call_id"] = identity
        if turn.role == "assistant" and turn.thinking:
            message["reasoning_content"] = turn.thinking
        if turn.tool_calls:
            message["tool_calls"] = [
                self._call(call, f"messages[{at}].tool_calls") for call in turn.tool_calls
            ]
            message["content"] = said or None
        self.messages.append(message)

    def _call(self, call: ToolCall, where: str) -> Message:
        self._calls += 1
        identity = call.id or f"call_{self._calls}"
        for line in (call.function.name, None):
            self._open[line].append((self._calls, identity))
        arguments = b"{}" if call.function.arguments == NULL else bytes(call.function.arguments)
        if not arguments.startswith(b"{"):
            raise wrong(f"{where}.function.arguments", "it is an object")
        function = {"name": call.function.name, "arguments": arguments.decode()}
        return {"id": identity, "type": "function", "function": function}

    def _next(self, tool: str | None) -> str:
        """Return the id of the call to which a result belongs."""
        line = self._open[tool]
        while line:
            number, identity = line[0]
            if number > self._answered.get(identity, 0):
                return identity
            line.popleft()
        return f"call_{self._calls}"


def with_images(text: str, images: Sequence[str]) -> list[Message]:
    """Return a text and its images as parts."""
    parts: list[Message] = [{"type": "text", "text": text}] if text else []
    return parts + [{"type": "image_url", "image_url": {"url": _url(each)}} for each in images]


def _url(image: str) -> str:
    if image.startswith("data:"):
        return image
    kind = next((kind for begin, kind in _IMAGES if image.startswith(begin)), "image/png")
    return f"data:{kind};base64,{image}"
