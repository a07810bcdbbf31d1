"""HTTP as bytes: replay a request over a socket, and take an answer apart without a parser."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import anyio

RECORDINGS = Path(__file__).parent.parent / "recordings"


@dataclass(frozen=True)
class Reply:
    """An answer taken apart; `whole` tells if its framing came to an end."""

    status_line: str
    headers: dict[str, str]
    body: bytes
    whole: bool

    @property
    def status(self) -> int:
        return int(self.status_line.split(" ")[1]) if self.status_line else 0

    @property
    def events(self) -> list[str]:
        """The kind of each comment and event: a comment's name, `[DONE]`, or a JSON's shape."""
        blocks = self.body.decode(errors="replace").split("\n\n")
        return [_event(block) for block in blocks if block.strip()]

    @property
    def outline(self) -> list[str]:
        """What each comment and event means to a client, in one word."""
        text = self.body.decode(errors="replace").replace("\r\n", "\n")
        return [_meaning(block) for block in text.split("\n\n") if block.strip()]


def recorded(path: str) -> tuple[bytes, Reply]:
    """Return the request bytes and the answer of one recording."""
    request = RECORDINGS / f"{path}.request.http"
    response = RECORDINGS / f"{path}.response.http"
    return request.read_bytes(), taken_apart(response.read_bytes())


async def replayed(request: bytes, host: str, port: int) -> Reply:
    """Send the bytes, read to the end of the connection, however it ends."""
    return taken_apart(await exchanged(request, host, port))


async def heard(request: bytes, host: str, port: int, seconds: float) -> bytes:
    """Send the bytes and return what came within `seconds`, of a connection that stays open."""
    received = b""
    async with await anyio.connect_tcp(host, port) as socket:
        await socket.send(request)
        with anyio.move_on_after(seconds) as patience:
            async for data in socket:
                received += data
    assert patience.cancelled_caught, "the connection was closed"
    return received


async def exchanged(request: bytes, host: str, port: int) -> bytes:
    """Send the bytes and return all that comes back until the connection ends."""
    received = b""
    async with await anyio.connect_tcp(host, port) as socket:
        await socket.send(request)
        try:
            async for data in socket:
                received += data
        except anyio.BrokenResourceError:
            pass
    return received


def get(path: str) -> bytes:
    """Return the bytes of a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()


def chat_request(**body: object) -> bytes:
    """Return the bytes of a chat request."""
    data = json.dumps({"messages": [{"role": "user", "content": "Hello"}], **body}).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def taken_apart(raw: bytes) -> Reply:
    head, _, rest = raw.partition(b"\r\n\r\n")
    status_line, *lines = head.decode().split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    if headers.get("transfer-encoding") == "chunked":
        body, whole = _dechunked(rest)
    else:
        body, whole = rest, len(rest) == int(headers.get("content-length", len(rest)))
    return Reply(status_line, headers, body, whole)


def _dechunked(rest: bytes) -> tuple[bytes, bool]:
    body = b""
    while match := re.match(rb"([0-9a-f]+)\r\n", rest):
        size = int(match[1], 16)
        if size == 0:
            return body, True
        chunk = rest[match.end() :]
        body, rest = body + chunk[:size], chunk[size + 2 :]
    return body + rest, False


def _event(block: str) -> str:
    if block.startswith(":"):
        return ": " + block[1:].split(maxsplit=1)[0]
    data = block.removeprefix("data: ")
    if data == "[DONE]":
        return data
    try:
        spacing = "spaced" if '": ' in data else "tight"
        return f"{spacing} {shape(json.loads(data))}"
    except json.JSONDecodeError:
        return "not JSON"


def _meaning(block: str) -> str:
    if block.startswith(":"):
        return block[1:].split(maxsplit=1)[0]
    data = block.removeprefix("data: ")
    try:
        event = json.loads(data)
    except json.JSONDecodeError:
        return "[DONE]" if data == "[DONE]" else "not JSON"
    if "error" in event:
        return "error"
    if not event.get("choices"):
        return "usage" if "usage" in event else "other"
    choice = event["choices"][0]
    if choice.get("finish_reason"):
        return str(choice["finish_reason"])
    return "content" if choice["delta"].get("content") else "role"


def shape(value: Any) -> Any:  # noqa: ANN401 - any JSON goes in
    """Return JSON with names of types for values; keys keep their order.

    Objects under ids that differ at each run are told by their values alone.
    """
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value)
        return {("ID" if _is_id(key) else key): shape(item) for key, item in pairs.items()}
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return sorted({str(shape(item)) for item in items})
    return type(value).__name__


def _is_id(key: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f-]{27}|12D3Koo\w+|[0-9a-f]{30,32}|solo", key))
