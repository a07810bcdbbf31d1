"""One demo server as a process: `python -m exo_supervisor.demo --generation C --port N`."""

import argparse
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import anyio

from exo_supervisor.demo import Cloud, Disease, ExoNode
from exo_supervisor.demo.announce_a import AnnouncerA
from exo_supervisor.demo.announce_b import AnnouncerB
from exo_supervisor.demo.announce_c import AnnouncerC
from exo_supervisor.demo.server import DemoServer


def main() -> None:
    """Serve until SIGTERM, SIGINT or `/quit`; the first line on stdout is the server's URL."""
    chosen = _parser().parse_args()
    anyio.run(_serve, _server(chosen), chosen.loading, chosen.announce)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m exo_supervisor.demo", description=__doc__)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--generation", choices=["A", "B", "C"], default="C", help="of the Exo node")
    kind.add_argument("--cloud", action="store_true", help="serve an OpenAI-style cloud instead")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--model", action="append", metavar="ID", help="repeat for several")
    parser.add_argument("--key", help="bearer token that the cloud asks for")
    parser.add_argument("--pace", type=float, default=0.02, help="seconds between tokens")
    parser.add_argument("--tokens", type=int, default=12, help="of an answer without a limit")
    parser.add_argument(
        "--announce", action="store_true", help="on the LAN, as its generation does"
    )
    load = parser.add_mutually_exclusive_group()
    load.add_argument("--ready", dest="loading", action="store_false", help="models are ready")
    load.add_argument("--loading", action="store_true", help="models load until cured")
    parser.set_defaults(loading=False)
    return parser


def _server(chosen: argparse.Namespace) -> DemoServer:
    where: dict[str, Any] = {
        "host": chosen.host,
        "port": chosen.port,
        "pace": chosen.pace,
        "tokens": chosen.tokens,
    }
    models = tuple(chosen.model) if chosen.model else None
    if not chosen.cloud:
        return ExoNode(chosen.generation, models, **where)
    return Cloud(chosen.key, models, **where) if models else Cloud(chosen.key, **where)


async def _serve(
    server: DemoServer,
    loading: bool,  # noqa: FBT001 - from the command line
    announce: bool,  # noqa: FBT001 - from the command line
) -> None:
    async with anyio.create_task_group() as tasks, server:
        if loading:
            server.disease = Disease("loading")
        if announce and isinstance(server, ExoNode):
            tasks.start_soon(_announcement(server))
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        tasks.start_soon(_obey_signals, server)
        await server.gone.wait()
        tasks.cancel_scope.cancel()


def _announcement(node: ExoNode) -> Callable[[], Coroutine[Any, Any, None]]:
    """Return what announces a node until cancelled, as its own generation does."""
    match node.generation:
        case "A":
            return AnnouncerA(node).run
        case "B":
            return AnnouncerB(node).run
        case "C":
            return AnnouncerC(node).run


async def _obey_signals(server: DemoServer) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            await server.terminate()


if __name__ == "__main__":
    main()
