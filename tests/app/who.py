"""Who may do what, as it comes out at the running service: `python -m tests.app.who` prints it.

SECURITY.md has the table, and a test holds it to what comes out here. To be somebody else takes
root.
"""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
from msgspec import Struct

from exo_supervisor.demo import ExoNode
from exo_supervisor.host.credentials import Secret
from exo_supervisor.host.tcp import open_tcp
from tests.app.world import EXO_MODEL, World, in_process
from tests.demo.raw import taken_apart

ADMINS, MEMBER, ADMIN, KIDS, STRANGER = 4711, 54_321, 54_322, 54_323, 54_324
TOKENS = {"server": "token-of-the-listener", "admin": "token-of-an-admin", "kids": "token-of-kids"}
OWN, OTHER = "small", "other"
DIALECTS: Final = {
    "chat": ("/v1/chat/completions", '{"model":"%s","messages":[{"role":"user","content":"Hi"}]}'),
    "Messages": (
        "/v1/messages",
        '{"model":"%s","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}',
    ),
    "Responses": ("/v1/responses", '{"model":"%s","input":"Hi"}'),
    "Ollama": (
        "/api/chat",
        '{"model":"%s","stream":false,"messages":[{"role":"user","content":"Hi"}]}',
    ),
}
ORDERS: Final = {
    "`models`": ("models/nowhere/place", "models/nowhere/remove"),
    "`breaker`": ("breakers/nowhere/open", "breakers/nowhere/close", "breakers/nowhere/auto"),
    "`nodes`": ("nodes/nowhere/trust", "nodes/nowhere/untrust", "nodes/forget"),
    "`inspect`": ("inspect?client=nowhere",),
    "`token`": ("tokens/nowhere/new", "tokens/nowhere/revoke"),
}
"""By their verbs; what they are given for is nowhere, so that whoever may order gets a 404."""
LOOKS: Final = ("status", "nodes", "models", "breakers", "requests", "clients", "egress", "config")
HEAD: Final = (f"who asks ({', '.join(DIALECTS)})", "its model", "another's", "looks", *ORDERS)

Connect = Callable[[], socket.socket]


class Asker(Struct):
    """Somebody: a way to connect, and what is sent along."""

    who: str
    connect: Connect
    headers: tuple[str, ...] = ()
    prefix: str = ""


class House(Struct):
    """The service, and everybody who may come to it."""

    askers: list[Asker]

    async def row(self, asker: Asker) -> list[str]:
        """Ask for everything, and say what came of it."""
        cells = [asker.who]
        for model in (OWN, OTHER):
            asks = [("POST", path, body % model) for path, body in DIALECTS.values()]
            cells.append(await self._alike(asker, asks))
        cells.append(await self._alike(asker, [("GET", f"/supervisor/{each}") for each in LOOKS]))
        for paths in ORDERS.values():
            asks = [("POST", f"/supervisor/{path}") for path in paths]
            asks += [("GET", "/supervisor/tokens")] if "token" in paths[0] else []
            cells.append(await self._alike(asker, asks))
        return cells

    async def _alike(self, asker: Asker, asks: Sequence[tuple[str, ...]]) -> str:
        """Put into one cell what is to come out alike."""
        told = [await self._said(asker, *ask) for ask in asks]
        return told[0] if len(set(told)) == 1 else " / ".join(told)

    async def _said(self, asker: Asker, method: str, path: str, body: str = "") -> str:
        lines = [
            f"{method} {asker.prefix}{path} HTTP/1.1", "connection: close",
            f"content-length: {len(body)}", *asker.headers,
        ]  # fmt: skip
        if not any(line.startswith("host:") for line in asker.headers):
            lines.append("host: localhost")
        reader, writer = await asyncio.open_connection(sock=asker.connect())
        try:
            writer.write("\r\n".join([*lines, "", body]).encode())
            reply = taken_apart(await reader.read())
        finally:
            writer.close()
        if reply.status not in (401, 403):
            return "yes"
        code = next(word for word in ("bad_token", "not_allowed") if word.encode() in reply.body)
        return f"{reply.status} {code}"


def on_socket(path: str, user: int, *groups: int) -> Connect:
    """Connect as somebody else: the kernel notes who it was at that moment."""

    def connect() -> socket.socket:
        plug = socket.socket(socket.AF_UNIX)
        before = os.getgroups()
        os.setgroups(groups)
        os.setegid(user)
        os.seteuid(user)
        try:
            plug.connect(path)
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(before)
        plug.setblocking(False)  # noqa: FBT003 -- the library's own form
        return plug

    return connect


def on_tcp(address: tuple[str, int]) -> Connect:
    """Connect to the listener on loopback."""

    def connect() -> socket.socket:
        plug = socket.create_connection(address)
        plug.setblocking(False)  # noqa: FBT003 -- the library's own form
        return plug

    return connect


@asynccontextmanager
async def house() -> AsyncGenerator[House]:
    """Run the service for everybody who may come to it."""
    rows = [{"name": OWN, "exo": [EXO_MODEL]}, {"name": OTHER, "exo": [EXO_MODEL]}]
    clients = [
        {"name": "admin", "uid": [ADMIN], "admin": True},
        {"name": "kids", "uid": [KIDS], "models": [OWN]},
    ]
    async with AsyncExitStack() as stack:
        opened = stack.enter_context(open_tcp("127.0.0.1:0"))
        secrets = {name: Secret(token, "the test") for name, token in TOKENS.items()}
        node = await stack.enter_async_context(ExoNode("C", pace=0.0))
        world = await stack.enter_async_context(
            in_process(
                node, admin_group=ADMINS, tcp=(opened, secrets.pop("server")), client=clients,
                client_tokens=secrets, model=rows,
            )
        )  # fmt: skip
        await world.ready()
        for each in (Path(world.path).parent, Path(world.path)):
            await anyio.Path(each).chmod(0o777)
        yield House(_askers(world, opened.getsockname()))


def _askers(world: World, address: tuple[str, int]) -> list[Asker]:
    path, tcp = world.path, on_tcp(address)

    def bearer(token: str) -> tuple[str, ...]:
        return (f"authorization: Bearer {token}",)

    page = ("origin: https://elsewhere.example", *bearer(TOKENS["admin"]))
    return [
        Asker("root, the service's user", on_socket(path, 0)),
        Asker("a member of `server.admin_group`", on_socket(path, MEMBER, ADMINS)),
        Asker("a client with `admin = true`", on_socket(path, ADMIN)),
        Asker("a client with `models`", on_socket(path, KIDS)),
        Asker("that client, with an admin's token", on_socket(path, KIDS), bearer(TOKENS["admin"])),
        Asker("anybody else at the socket", on_socket(path, STRANGER)),
        Asker("TCP: the token of the listener", tcp, bearer(TOKENS["server"])),
        Asker("TCP: a token of the admin client", tcp, (f"x-api-key: {TOKENS['admin']}",)),
        Asker("TCP: a token of the client with `models`", tcp, (), f"/t/{TOKENS['kids']}"),
        Asker("TCP: no token", tcp),
        Asker("TCP: a token of nobody's", tcp, bearer("token-of-nobody")),
        Asker("TCP: a web page, with a token", tcp, page),
    ]


async def table() -> list[str]:
    """Ask everything as everybody; the lines of the table."""
    async with house() as asked:
        rows = [HEAD, ["---"] * len(HEAD), *[await asked.row(each) for each in asked.askers]]
    return [f"| {' | '.join(row)} |" for row in rows]


def main() -> int:
    """Print the table."""
    if os.geteuid() != 0:
        sys.stderr.write("root alone can be somebody else\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in anyio.run(table)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
