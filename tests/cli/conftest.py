"""A pretend service on a real Unix socket, with canned answers."""

import io
import json
import os
import shutil
import socketserver
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from threading import Event, Thread
from typing import NamedTuple, cast

import pytest

from exo_supervisor.cli import main

Answerer = Callable[["Handler"], None]
TIMEOUT = 60


class Seen(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path) -> None:
        self.routes: dict[str, Answerer] = {}
        self.seen: list[Seen] = []
        super().__init__(str(path), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        del request, client_address
        error = sys.exception()
        if not isinstance(error, OSError):  # a client that went away is no fault here
            traceback.print_exception(error)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the parent's name
        pass

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        server = cast("Server", self.server)
        server.seen.append(Seen(self.command, self.path, dict(self.headers), body))
        self.close_connection = True
        server.routes.get(f"{self.command} {self.path}", _nothing)(self)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815  the parent's names


class Service:
    """The pretend service: tell it what to answer, run verbs against it."""

    def __init__(self, server: Server, path: Path) -> None:
        self._server = server
        self.path = path
        self.seen = server.seen

    def on(self, route: str, answer: Answerer) -> None:
        self._server.routes[route] = answer

    def says(self, route: str, body: object) -> None:
        self.on(route, whole(body))

    def main(self, *argv: str) -> int:
        return main([*argv, "--socket", str(self.path)])

    def start(self, *argv: str, **more: int) -> Popen[bytes]:
        return start(*argv, "--socket", str(self.path), **more)


def whole(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answerer:
    """Answer at once: bytes as they are, anything else as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {"content-length": str(len(raw)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(raw)

    return answer


def streamed(
    *events: object,
    headers: Mapping[str, str] | None = None,
    done: bool = True,
    cut: bool = False,
    hold: Event | None = None,
) -> Answerer:
    """Answer as server-sent events, chunked: text is sent as it stands, the rest as `data:` JSON.

    `hold` is waited for before the end; `cut` ends without the terminating chunk.
    """

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        for name, value in {"transfer-encoding": "chunked", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        for event in [*events, *(["data: [DONE]\n\n"] if done else [])]:
            text = event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n"
            if hold is not None and text.startswith("data: [DONE]"):
                hold.wait(TIMEOUT)
            raw = text.encode("utf-8", "surrogateescape")
            handler.wfile.write(f"{len(raw):x}\r\n".encode() + raw + b"\r\n")
            handler.wfile.flush()
        if not cut:
            handler.wfile.write(b"0\r\n\r\n")

    return answer


def delta(text: str, **more: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": text}, **more}]}


def start(*argv: str, stdout: int = PIPE, stderr: int = PIPE, stdin: int = DEVNULL) -> Popen[bytes]:
    """Start the program as a process with a plain environment."""
    plain = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
    return Popen(  # noqa: S603  our own interpreter and words
        [sys.executable, "-m", "exo_supervisor", *argv],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env={**plain, "HOME": "/nonexistent", "TERM": "xterm"},
    )


def _nothing(handler: Handler) -> None:
    whole({"error": {"message": "no such path", "code": "route_not_found"}}, 404)(handler)


@pytest.fixture(autouse=True)
def _nothing_piped_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder whose name is short enough for a Unix socket."""
    path = Path(tempfile.mkdtemp(prefix="es", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def service(folder: Path) -> Iterator[Service]:
    path = folder / "api.sock"
    with Server(path) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield Service(server, path)
        server.shutdown()
        thread.join()
