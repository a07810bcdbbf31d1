"""Asks the service, from any Python program: `Client`, and `AsyncClient` on asyncio or trio.

    from exo_supervisor.client import Client

    house = Client()  # finds the socket as the verbs do; or Client(url="http://127.0.0.1:11435")
    print(house.chat("Name three rivers.", model="llama-3.2-3b").text)
    for text in house.stream("Name three more.", model="llama-3.2-3b"):
        print(text, end="")

What is no whole answer raises AnswerError: NoAnswerError where nobody answers, RefusedError for an
error of the service's, within a stream, too, and CutError for an answer that broke off.

The verbs, the demo and the drill stand on the same two readers, which do no I/O. A verb has to be
quick: `http.client` (for `email` and `ssl`) costs more than all that a verb does, and `msgspec`
again as much. So HTTP is read here, and its events, too, since `wire.sse` stands on msgspec.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exo_supervisor.client.asynchronous import AsyncClient, AsyncStream
    from exo_supervisor.client.calls import Completion, Served
    from exo_supervisor.client.errors import AnswerError, CutError, NoAnswerError, RefusedError
    from exo_supervisor.client.synchronous import Client, Stream

__all__ = [
    "AnswerError", "AsyncClient", "AsyncStream", "Client", "Completion", "CutError",
    "NoAnswerError", "RefusedError", "Served", "Stream",
]  # fmt: skip

_MODULES = {
    **dict.fromkeys(("AsyncClient", "AsyncStream"), "asynchronous"),
    **dict.fromkeys(("Client", "Stream"), "synchronous"),
    **dict.fromkeys(("Completion", "Served"), "calls"),
    **dict.fromkeys(("AnswerError", "CutError", "NoAnswerError", "RefusedError"), "errors"),
}


def __getattr__(name: str) -> object:
    """Import what is asked for, and nothing else: a verb wants one of the readers alone."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(__import__(f"{__name__}.{_MODULES[name]}", fromlist=[name]), name)
