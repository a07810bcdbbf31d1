"""Brings the page of the HUD from the service's socket to a loopback port, to one browser.

The service sees the user who runs this, so that its answers to orders are those that this user
gets. Nothing else of the service is reached through here, and only with the session's cookie.
"""

import errno
import secrets
import select
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

from exo_supervisor.cli.term import remark
from exo_supervisor.errors import why_failed
from exo_supervisor.serve.browser import SESSION, Sessions, forbidden, is_page, wrong_origin

MAX_HEAD_BYTES = 32 * 1024
MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_BROWSERS = 64
"""Connections that are served at a time; further ones wait for their turn."""
PATIENCE = 10.0
"""Seconds for all of a head, and for a browser that takes nothing of what it asked for."""
AGAIN = 0.2
"""Seconds until a connection that could not be taken is tried again."""
_FOR_NOW = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED, errno.EPROTO}
)
"""What hinders one connection or one moment, accept(2), and not the port."""
_PIECE = 64 * 1024
_PASSED = (
    "accept", "content-type", "last-event-id", "x-supervisor-privacy", "x-supervisor-route",
    "x-supervisor-deadline", "x-supervisor-session",
)  # fmt: skip
_ONCE = frozenset({"host", "origin", "content-length", "authorization", "sec-fetch-site"})
_PHRASES = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 413: "Too Large"}


class Asked(NamedTuple):
    """One request's head, and what came behind it."""

    method: str
    target: str
    headers: Mapping[str, str]
    length: int
    rest: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


class DeniedError(Exception):
    """What is wrong with a request: the status, the code and the words of its answer."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code = status, code


class Forwarder:
    """Owns the port; `path` is the service's socket, and `warn` tells who started it."""

    def __init__(self, path: str, host: str, warn: Callable[[str], None] = remark) -> None:
        self._path, self._warn = path, warn
        self._closing = threading.Event()
        self._sessions = Sessions()
        self._ticket: str | None = secrets.token_urlsafe(32)
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(MAX_BROWSERS)
        self._listening = socket.create_server((host, 0))
        self.url = "http://{}:{}/hud#t={}".format(*self._listening.getsockname(), self._ticket)

    def run(self) -> None:
        """Serve until it is closed, or Ctrl-C is pressed. Raises OSError where the port fails.

        What this machine has too little of just now may be there again soon: it goes on then.
        """
        warned = False
        with self._listening:
            while not self._closing.is_set():
                self._room.acquire()  # who finds none waits in the kernel, and costs no thread
                try:
                    self._accept()
                    warned = False
                except (OSError, RuntimeError) as fault:  # no descriptor; no thread
                    self._room.release()
                    if self._closing.is_set():
                        return
                    if isinstance(fault, OSError) and fault.errno not in _FOR_NOW:
                        raise
                    if not warned:
                        self._warn(
                            f"warning: the page waits: {why_failed(fault)}; it goes on by itself"
                        )
                    warned = True
                    self._closing.wait(AGAIN)

    def _accept(self) -> None:
        client, _ = self._listening.accept()
        try:
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()
        except RuntimeError:
            client.close()
            raise

    def close(self) -> None:
        """Accept no more."""
        self._closing.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)

    def _serve(self, client: socket.socket) -> None:
        try:
            # A browser that leaves, and a service that does, end the connection, and nothing else.
            with client, suppress(OSError):
                self._answer(client)
        finally:
            self._room.release()

    def _answer(self, client: socket.socket) -> None:
        try:
            asked = read(client)
            client.settimeout(PATIENCE)
            if (cookie := self._judge(asked)) is not None:
                client.sendall(cookie)
            else:
                self._carry(client, asked)
        except DeniedError as refused:
            client.sendall(_refusal(refused))

    def _judge(self, asked: Asked) -> bytes | None:
        """Let a request pass (None), or answer the one that begins a session."""
        page = is_page(asked.method, asked.path)
        if (why := wrong_origin(asked.headers, is_page=page)) is not None:
            raise DeniedError(403, "not_allowed", why)
        if page:
            return None
        if asked.path == SESSION and asked.method == "POST":
            return self._begin(asked)
        session = self._sessions.find(asked.headers)
        if session is None:
            text = "open the address that exo-supervisor hud has printed"
            raise DeniedError(401, "bad_token", text)
        if (why := forbidden(session, asked.method, asked.path, asked.headers)) is not None:
            raise DeniedError(403, "not_allowed", why)
        return None

    def _begin(self, asked: Asked) -> bytes:
        """Change the ticket, once, for a session."""
        said = asked.headers.get("authorization", "").removeprefix("Bearer ").encode()
        with self._lock:
            if self._ticket is None or not secrets.compare_digest(said, self._ticket.encode()):
                text = "this address was used already, or is another run's: exo-supervisor hud"
                raise DeniedError(401, "bad_token", text + " prints a new one")
            self._ticket = None
            cookie, proof = self._sessions.begin("", asked.headers.get("host", ""))
        more = f"set-cookie: {cookie}\r\ncache-control: no-store\r\n"
        return _answer(200, f'{{"proof":"{proof}"}}'.encode(), more)

    def _carry(self, client: socket.socket, asked: Asked) -> None:
        """Send a request on, and its answer back, until either side has ended."""
        lines = [f"{asked.method} {asked.target} HTTP/1.1", "host: localhost", "connection: close"]
        lines += [f"{name}: {asked.headers[name]}" for name in _PASSED if name in asked.headers]
        if asked.method == "POST":
            lines.append(f"content-length: {asked.length}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as service:
            service.settimeout(PATIENCE)
            try:
                service.connect(self._path)
            except OSError:
                raise DeniedError(502, "unreachable", "the service is not reachable") from None
            head = "\r\n".join([*lines, "", ""]).encode("latin-1")
            begun = asked.rest[: asked.length]
            splice(client, service, head + begun, asked.length - len(begun))


def read(client: socket.socket, clock: Callable[[], float] = monotonic) -> Asked:
    """Read one request's head, strictly: what it says is written anew for the service."""
    data, until = b"", clock() + PATIENCE
    while (end := data.find(b"\r\n\r\n")) < 0:
        if len(data) > MAX_HEAD_BYTES:
            raise DeniedError(400, "bad_http", "the head is too long")
        if (left := until - clock()) <= 0:
            raise DeniedError(400, "bad_http", f"the head did not all come in {PATIENCE:g} s")
        client.settimeout(left)
        if not (more := client.recv(_PIECE)):
            raise DeniedError(400, "bad_http", "the head has no end")
        data += more
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    words = first.split(" ")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not name or name.strip() != name or (name in _ONCE and name in headers):
            raise DeniedError(400, "bad_http", "a line of the head is no header, or comes twice")
        headers[name] = value.strip(" \t")
    length = headers.get("content-length", "0")
    fits = len(words) == 3 and words[1].startswith("/") and first.isprintable()  # noqa: PLR2004
    if not fits or "transfer-encoding" in headers or not (length.isascii() and length.isdigit()):
        raise DeniedError(400, "bad_http", "this is not a request that the page makes")
    if len(length) > 8 or int(length) > MAX_BODY_BYTES:  # noqa: PLR2004 -- digits
        raise DeniedError(413, "body_too_large", f"over {MAX_BODY_BYTES} bytes")
    return Asked(words[0], words[1], headers, int(length), data[end + 4 :])


def splice(client: socket.socket, service: socket.socket, begun: bytes, left: int) -> None:
    """Pass on a request's begin, what is left of it, and the answer; a client that leaves ends it.

    The service need not read a request to its end: where no more can be sent, its answer is there.
    """
    with suppress(BrokenPipeError):
        service.sendall(begun)
    poll = select.poll()
    poll.register(client, select.POLLIN)
    poll.register(service, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready == service.fileno():
                if not (piece := service.recv(_PIECE)):
                    return
                client.sendall(piece)
            elif piece := client.recv(_PIECE):
                with suppress(BrokenPipeError):
                    service.sendall(piece[: max(0, left)])
                left -= len(piece)
            else:
                return


def _refusal(refused: DeniedError) -> bytes:
    import json

    error = {"message": str(refused), "type": "invalid_request_error", "param": None}
    return _answer(refused.status, json.dumps({"error": {**error, "code": refused.code}}).encode())


def _answer(status: int, body: bytes, more: str = "") -> bytes:
    phrase = _PHRASES.get(status, "Bad Gateway")
    head = f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\n{more}"
    head += f"x-content-type-options: nosniff\r\ncontent-length: {len(body)}\r\n"
    return f"{head}connection: close\r\n\r\n".encode() + body
