"""Turns of a Messages conversation as messages of OpenAI's shape.

What is written depends on a turn and on those before it alone, never on what follows: so the prompt
of the next request begins with this one, and whoever keeps prompts finds it again.
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Raw, Struct, field

from exo_supervisor.wire.chat.body import named, wrong
from exo_supervisor.wire.chat.members import Members, MembersDecoder
from exo_supervisor.wire.chat.piece import NULL

Part = dict[str, object]
Message = dict[str, object]

ATTRIBUTION: Final = "x-anthropic-billing-header:"
"""With this begins a line of Claude Code's that differs in every request; no model needs it."""
FAILED: Final = "Error: "
"""Stands before the result of a tool that failed: no other dialect has a mark for it."""
IMAGES_BELOW: Final = "(see the images below)"
_IMAGES_OF = "Images in the result of the tool call {}:"


class Block(Members):
    """One block of a turn's content, as far as any of its types needs.

    Harmless are marks for the cache, of whose a call is and where a text is from, and what only the
    maker of a thought can read.
    """

    harmless = frozenset({"cache_control", "caller", "citations", "data", "signature"})
    types = frozenset({"text", "image", "thinking", "redacted_thinking", "tool_use", "tool_result"})

    type: str
    text: str | None = None
    thinking: str | None = None
    source: Raw = NULL
    id: str | None = None
    name: str | None = None
    input: Raw = NULL
    tool_use_id: str | None = None
    content: Raw = NULL
    is_error: bool | None = None


class Turn(Members):
    """One member of `messages`."""

    role: str
    content: str | list[Block]


class _Source(Members):
    types = frozenset({"base64", "url"})

    type: str
    media_type: str = ""
    data: str | None = None
    url: str | None = None


_source = MembersDecoder(msgspec.json.Decoder(_Source))
_result = MembersDecoder(msgspec.json.Decoder(str | list[Block] | None))


def system_text(system: str | list[Block]) -> str:
    """Return the system prompt without the line that names the client."""
    texts = [system] if isinstance(system, str) else _texts(system, "system")
    return "\n\n".join(filter(None, map(_unattributed, texts)))


def _unattributed(text: str) -> str:
    if not text.startswith(ATTRIBUTION):
        return text
    return text.partition("\n")[2].lstrip("\r\n")


class _Said(Struct):
    """What the assistant said in turns in a row: put together once, however many they are."""

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[Part] = field(default_factory=list)

    def message(self) -> Message:
        """Return all of it as one message."""
        told, thought = "".join(self.texts), "".join(self.thoughts)
        message: Message = {
            "role": "assistant",
            "content": told if told or not self.calls else None,
        }
        if thought:
            message["reasoning_content"] = thought
        if self.calls:
            message["tool_calls"] = self.calls
        return message


class Conversation:
    """Makes messages of turns; `demands` names the blocks that only Anthropic can take.

    Turns of one role in a row become one message, as they are one turn to Anthropic.
    """

    def __init__(self, system: str) -> None:
        self._messages: list[Message | _Said | list[Part]] = []
        """Of the user the parts alone."""
        self.demands: set[str] = set()
        if system:
            self._messages.append({"role": "system", "content": system})

    def add(self, turn: Turn, at: int) -> None:
        """Add the next turn, the one at this index; raises BadRequestError."""
        where = f"messages[{at}]"
        told = turn.content
        blocks = [Block("text", told)] if isinstance(told, str) else told
        match turn.role:
            case "user":
                self._add_user(blocks, where)
            case "assistant":
                self._add_assistant(blocks, where)
            case "system":
                if said := "\n\n".join(filter(None, _texts(blocks, f"{where}.content"))):
                    self._messages.append({"role": "system", "content": said})
            case _:
                raise wrong(f"{where}.role", "it is user, assistant or system")

    def messages(self) -> list[Message]:
        """Return the messages; a text alone is written as such, however the client wrote it.

        Clients move their marks for the cache from turn to turn, and write a text without one as a
        plain string.
        """
        return [_message(each) for each in self._messages]

    # ---------------------------------------------------------------- of the user

    def _add_user(self, blocks: list[Block], where: str) -> None:
        """Write results of tools first, which have to follow their calls, and the rest in order."""
        parts: list[Part] = []
        for place, block in enumerate(blocks):
            if block.type == "tool_result":
                parts += self._add_result(block, f"{where}.content[{place}]")
        for place, block in enumerate(blocks):
            if block.type != "tool_result":
                parts += self._part(block, f"{where}.content[{place}]")
        last = self._messages[-1] if self._messages else None
        if isinstance(last, list):
            last += parts
        elif parts:
            self._messages.append(parts)

    def _add_result(self, block: Block, where: str) -> list[Part]:
        """Write the result of a tool, and return the images in it: a result has room for texts."""
        if block.tool_use_id is None:
            raise wrong(f"{where}.tool_use_id", "a tool_result names its tool_use")
        found, unknown = _result.read(block.content, under=f"{where}.content")
        self.demands.update(unknown)
        inner = [Block("text", found)] if isinstance(found, str) else found or ()
        parts = [
            part
            for place, each in enumerate(inner)
            for part in self._part(each, f"{where}.content[{place}]")
        ]
        texts = [str(part["text"]) for part in parts if "text" in part]
        images = [part for part in parts if "text" not in part]
        said = "\n".join(texts) or (IMAGES_BELOW if images else "")
        if block.is_error:
            said = FAILED + said
        self._messages.append({"role": "tool", "tool_call_id": block.tool_use_id, "content": said})
        if not images:
            return []
        return [{"type": "text", "text": _IMAGES_OF.format(block.tool_use_id)}, *images]

    def _part(self, block: Block, where: str) -> list[Part]:
        match block.type:
            case "text":
                text = _text(block, where)
                return [{"type": "text", "text": text}] if text else []
            case "image":
                url = self._image(block.source, where)
                return [{"type": "image_url", "image_url": {"url": url}}] if url else []
            case other:
                self.demands.add(named("messages[].content[].type", other))
                return [{"type": other}]  # stands for it, where nobody of this shape is asked

    def _image(self, raw: Raw, where: str) -> str | None:
        source, unknown = _source.read(raw, under=f"{where}.source")
        self.demands.update(unknown)
        if source.type == "base64" and source.data is not None:
            return f"data:{source.media_type};base64,{source.data}"
        if source.type == "url" and source.url is not None:
            return source.url
        if source.type in {"base64", "url"}:
            raise wrong(f"{where}.source", f"an image of the type {source.type} has none")
        self.demands.add(named("messages[].content[].source.type", source.type))
        return None

    # ---------------------------------------------------------------- of the assistant

    def _add_assistant(self, blocks: list[Block], where: str) -> None:
        """Write texts, thoughts and calls; a thought that is encrypted is for its maker alone."""
        last = self._messages[-1] if self._messages else None
        said = last if isinstance(last, _Said) else _Said()
        for place, block in enumerate(blocks):
            here = f"{where}.content[{place}]"
            match block.type:
                case "text":
                    said.texts.append(_text(block, here))
                case "thinking":
                    said.thoughts.append(block.thinking or "")
                case "redacted_thinking":
                    pass
                case "tool_use":
                    said.calls.append(_call(block, here))
                case other:
                    self.demands.add(named("messages[].content[].type", other))
        if said is not last and (said.calls or any(said.texts) or any(said.thoughts)):
            self._messages.append(said)


def _message(told: Message | _Said | list[Part]) -> Message:
    if isinstance(told, _Said):
        return told.message()
    if isinstance(told, dict):
        return told
    alone = len(told) == 1 and "text" in told[0]
    return {"role": "user", "content": told[0]["text"] if alone else told}


def _call(block: Block, where: str) -> Part:
    if block.id is None or block.name is None:
        raise wrong(where, "a tool_use has an id and a name")
    arguments = b"{}" if block.input == NULL else bytes(block.input)
    if not arguments.startswith(b"{"):
        raise wrong(f"{where}.input", "it is an object")
    function = {"name": block.name, "arguments": arguments.decode()}
    return {"id": block.id, "type": "function", "function": function}


def _texts(blocks: Iterable[Block], where: str) -> Iterable[str]:
    for place, block in enumerate(blocks):
        if block.type != "text":
            raise wrong(f"{where}[{place}].type", "a system prompt is made of texts")
        yield _text(block, f"{where}[{place}]")


def _text(block: Block, where: str) -> str:
    if block.text is None:
        raise wrong(f"{where}.text", "it is missing")
    return block.text
