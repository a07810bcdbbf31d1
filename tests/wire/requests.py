"""Requests as a client's dialect reads them, for tests of what is told about them."""

from exo_supervisor.wire.chat.request import ChatRequest
from exo_supervisor.wire.dialect import Reply, StreamState
from exo_supervisor.wire.openai.inbound import read_chat

HI = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'


def a_chat() -> ChatRequest:
    """Read the shortest chat."""
    return read_chat(HI)


def a_reply(chat: ChatRequest | None = None, *, created: int = 7) -> Reply:
    """Tell a writer of one request, whose stream has not begun."""
    return Reply("req-1", created, "m", chat or a_chat(), StreamState())
