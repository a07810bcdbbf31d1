"""Items of a Responses request as messages of OpenAI's chat.

What is written depends on an item and on those before it alone, never on what follows: so the
prompt of the next request begins with this one, and whoever keeps prompts finds it again. The
output of a call is the one exception: it stands next to its call, wherever the client put it.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct, field

from exo_supervisor.wire.chat.body import wrong
from exo_supervisor.wire.chat.members import Members, MembersDecoder
from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.responses.tools import INPUT, Named, refused

Part = dict[str, object]
Message = dict[str, object]

IMAGES_BELOW: Final = "(see the images below)"
_IMAGES_OF = "Images in the output of the call {}:"
_TEXTS: Final = frozenset({"input_text", "output_text", "text"})
_ROLES: Final = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}


class Item(Members):
    """One member of `input`, as far as any of its types needs; a message may leave its type out.

    What is harmless tells of an item that is there by itself: its id, how far it was, which part
    an answer had in its turn. What is encrypted is for its maker alone, and thoughts are told
    elsewhere whole or not at all.
    """

    harmless = frozenset({"caller", "encrypted_content", "id", "phase", "status", "summary"})
    types = frozenset(
        {"message", "reasoning", "function_call", "custom_tool_call", "function_call_output",
         "custom_tool_call_output"}
    )  # fmt: skip

    type: str = "message"
    role: str | None = None
    content: Raw = NULL
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None
    output: Raw = NULL


class _Part(Members):
    """A part of an item's content; what is harmless tells of its text, or is for a cache."""

    harmless = frozenset({"annotations", "logprobs", "prompt_cache_breakpoint"})
    types = _TEXTS | {"refusal", "input_image", "reasoning_text"}

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None


_content = MembersDecoder(msgspec.json.Decoder(str | list[_Part] | None))


class _Entry(Struct):
    """A message that is being made, and the outputs of its calls."""

    role: str
    parts: list[Part] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[Part] = field(default_factory=list)
    outputs: list[Message] = field(default_factory=list)

    def messages(self) -> list[Message]:
        """Return the message, unless nothing is in it, and behind it the outputs."""
        if not self.parts and not self.calls:
            return []
        if self.role == "user":
            return [{"role": "user", "content": _plain(self.parts)}]
        text = "\n\n".join(str(part["text"]) for part in self.parts)
        message: Message = {"role": self.role, "content": text or None}
        if self.thoughts:
            message["reasoning_content"] = "".join(self.thoughts)
        if self.calls:
            message["tool_calls"] = self.calls
        return [message, *self.outputs]


class Conversation:
    """Makes messages of items; those of one role in a row become one message."""

    def __init__(self, instructions: str) -> None:
        self._entries: list[_Entry] = []
        self._open: dict[str, tuple[_Entry, int]] = {}
        """Calls that have no output yet, each with its place among the items."""
        if instructions:
            self._of("system").parts.append(_text(instructions))

    def add(self, item: Item, at: int) -> None:
        """Add the next item, the one at this index; raises BadRequestError."""
        where = f"input[{at}]"
        match item.type:
            case "message":
                self._add_message(item, where)
            case "reasoning":
                self._add_thought(item, where)
            case "function_call":
                self._add_call(item, item.arguments, at)
            case "custom_tool_call":
                told = item.input
                self._add_call(item, None if told is None else _as_arguments(told), at)
            case "function_call_output" | "custom_tool_call_output":
                self._add_output(item, where)
            case other:
                raise refused("input[].type", other)

    def messages(self) -> list[Message]:
        """Return the messages; raises BadRequestError where a call has no output."""
        for _, at in self._open.values():
            raise wrong(f"input[{at}]", "this call has no output")
        return [message for entry in self._entries for message in entry.messages()]

    def _of(self, role: str) -> _Entry:
        """Return the last message if it is of this role, and else a new one."""
        last = self._entries[-1] if self._entries else None
        if last is None or last.role != role or last.outputs:
            last = _Entry(role)
            self._entries.append(last)
        return last

    def _add_message(self, item: Item, where: str) -> None:
        role = _ROLES.get(item.role or "")
        if role is None:
            raise wrong(f"{where}.role", "it is user, assistant, system or developer")
        parts = _parts(item.content, f"{where}.content")
        if role != "user":
            if any("text" not in part for part in parts):
                raise wrong(f"{where}.content", "only a user's message has images")
            texts = "".join(str(part["text"]) for part in parts)
            parts = [_text(texts)] if texts else []
        if parts:
            self._of(role).parts += parts

    def _add_thought(self, item: Item, where: str) -> None:
        """Keep a thought that can be read; one that is encrypted is for its maker alone."""
        told = _read(item.content, f"{where}.content")
        if texts := [part.text for part in told if isinstance(part, _Part) and part.text]:
            self._of("assistant").thoughts += texts

    def _add_call(self, item: Item, arguments: str | None, at: int) -> None:
        if item.call_id is None or item.name is None or arguments is None:
            raise wrong(f"input[{at}]", "a call has a call_id, a name, and arguments or an input")
        if item.call_id in self._open:
            raise wrong(f"input[{at}].call_id", "two calls have it")
        name = Named(item.name, item.namespace).flat()
        entry = self._of("assistant")
        function = {"name": name, "arguments": arguments}
        entry.calls.append({"id": item.call_id, "type": "function", "function": function})
        self._open[item.call_id] = (entry, at)

    def _add_output(self, item: Item, where: str) -> None:
        """Put an output next to its call; images follow, since an output has room for texts."""
        entry, _ = self._open.pop(item.call_id or "", (None, 0))
        if entry is None:
            raise wrong(f"{where}.call_id", "no call before it waits for this output")
        parts = _parts(item.output, f"{where}.output")
        images = [part for part in parts if "text" not in part]
        texts = [str(part["text"]) for part in parts if "text" in part]
        said = "\n".join(texts) or (IMAGES_BELOW if images else "")
        entry.outputs.append({"role": "tool", "tool_call_id": item.call_id, "content": said})
        if images:
            text = _IMAGES_OF.format(item.call_id)
            self._of("user").parts += [_text(text), *images]


def _parts(content: Raw, where: str) -> list[Part]:
    told = _read(content, where)
    if isinstance(told, str):
        return [_text(told)] if told else []
    return [each for at, part in enumerate(told) for each in _part(part, f"{where}[{at}]")]


def _read(content: Raw, where: str) -> str | list[_Part]:
    told, unknown = _content.read(content, under=where)
    for name in unknown:
        raise refused(name)
    return told or ""


def _part(part: _Part, where: str) -> list[Part]:
    if part.type in _TEXTS or part.type == "refusal":
        text = part.refusal if part.type == "refusal" else part.text
        if text is None:
            raise wrong(where, "it has no text")
        return [_text(text)] if text else []
    if part.type != "input_image":
        raise refused("input[].content[].type", part.type)
    if part.image_url is None:
        raise refused("input[].content[].file_id", advice="send the image itself as image_url")
    image = {"url": part.image_url}
    if part.detail not in {None, "auto"}:
        image["detail"] = part.detail or ""
    return [{"type": "image_url", "image_url": image}]


def _text(text: str) -> Part:
    return {"type": "text", "text": text}


def _plain(parts: list[Part]) -> object:
    """Return a text alone as such, and anything else as parts."""
    first, *others = parts
    return first["text"] if "text" in first and not others else parts


def _as_arguments(text: str) -> str:
    return msgspec.json.encode({INPUT: text}).decode()
