"""Reads a streamed answer to a chat: the text as it comes, and who said it."""

from collections.abc import Iterator

from exo_supervisor.client.errors import CutError, RefusedError
from exo_supervisor.client.http import OK
from exo_supervisor.client.json_object import Fields, count, fields, objects, read_object

MAX_LINE_BYTES = 9 * 1024 * 1024
"""What one line of a stream may hold; the service bounds an event to 8 MiB."""


class Chat:
    """A streamed answer to a chat: `pieces` of text, and what else was said.

    It is whole once `done`; `error` is what the service says instead, `served` who answers.
    """

    def __init__(self) -> None:
        self.served: Fields = {}
        self.pieces: list[str] = []
        self.tokens = 0
        self.reasoning = False
        self.finish = ""
        self.error = ""
        self.refused: RefusedError | None = None
        self.done = False
        self._line = b""
        self._data: list[str] = []

    @property
    def open_line(self) -> bool:
        """Tell whether the text so far does not end in a newline."""
        return bool(self.pieces) and not self.pieces[-1].endswith("\n")

    @property
    def over(self) -> bool:
        """Tell whether its last word is in; what comes after that is not read."""
        return self.done or bool(self.error)

    def feed(self, body: bytes) -> Iterator[str]:
        """Take the next bytes, yield the content in them. Raises CutError for an endless line."""
        return filter(None, map(content_of, self.chunks(body)))

    def chunks(self, body: bytes) -> Iterator[Fields]:
        """Take the next bytes, yield the events in them. Raises CutError for an endless line."""
        *lines, self._line = (self._line + body).split(b"\n")
        for line in lines:
            if self.over:
                return
            yield from self._take(line.removesuffix(b"\r").decode("utf-8", "replace"))
        if len(self._line) > MAX_LINE_BYTES:
            raise CutError(f"over {MAX_LINE_BYTES} bytes", "a line of the answer is too long")

    def close(self) -> Iterator[str]:
        """Take in that nothing more comes, and yield the content of an event without its end."""
        return self.feed(b"\n\n")

    def _take(self, line: str) -> Iterator[Fields]:
        if line.startswith(": supervisor "):
            self.served.update(read_object(line.partition("supervisor ")[2]))
        elif line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))
        elif not line and self._data:
            event = "\n".join(self._data)
            self._data.clear()
            yield from self._event(event)

    def _event(self, data: str) -> Iterator[Fields]:
        if data.strip() == "[DONE]":
            self.done = True
            return
        event = read_object(data)
        if event.get("error"):
            self.refused = RefusedError(OK, data.encode())
            self.error = self.refused.message or "it sent an error"
            return
        self.tokens = count(fields(event.get("usage")).get("completion_tokens")) or self.tokens
        for choice in objects(event.get("choices"))[:1]:
            finish = choice.get("finish_reason")
            self.finish = finish if isinstance(finish, str) else self.finish
            delta = fields(choice.get("delta"))
            self.reasoning |= bool(delta.get("reasoning_content") or delta.get("reasoning"))
        if content := content_of(event):
            self.pieces.append(content)
        yield event


def content_of(event: Fields) -> str:
    """Return the text that an event adds to the first choice."""
    content = [fields(each.get("delta")).get("content") for each in objects(event.get("choices"))]
    return content[0] if content and isinstance(content[0], str) else ""
