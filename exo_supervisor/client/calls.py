"""What a client sends, and what it makes of the answers; connections are other modules'."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from exo_supervisor.client.chat import Chat
from exo_supervisor.client.errors import CutError
from exo_supervisor.client.http import Address, Response, request, wishes
from exo_supervisor.client.json_object import Fields, count, fields, objects, read_object
from exo_supervisor.client.locate import address_of, socket_paths

TOKEN_VARIABLE = "EXO_SUPERVISOR_TOKEN"  # noqa: S105 - the variable's name
_MAX_DIGITS = 18
Messages = str | Sequence[Mapping[str, object]]
"""A question, or a conversation in OpenAI's words."""


class Served(NamedTuple):
    """Who answered: a node's `host:port` or a provider, after how many attempts, and why there."""

    target: str = ""
    attempts: int = 0
    shift: str = ""
    model: str = ""
    request_id: str = ""


class Completion(NamedTuple):
    """A whole answer to a chat; `body` is all of it, as it came."""

    text: str
    finish: str
    served: Served
    body: Fields

    @property
    def tool_calls(self) -> list[Fields]:
        return objects(_message(self.body).get("tool_calls"))

    @property
    def usage(self) -> Fields:
        return fields(self.body.get("usage"))


class Caller:
    """Writes the requests of one client, all for the same service and under the same wishes.

    Without `socket` and `url` the socket is found as the verbs find it: environment, configuration,
    this user's, the system's. `url` is a TCP listener's (`server.tcp`), and `token` its token, else
    `EXO_SUPERVISOR_TOKEN`. `timeout` bounds each answer in seconds; None leaves that to the
    service's own timers, and to `deadline`. Raises ValueError for what is no such URL.
    """

    def __init__(
        self,
        socket: str | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
        timeout: float | None = None,
        privacy: Literal["local_only"] | None = None,
        route: Literal["exo", "cloud"] | None = None,
        deadline: float | None = None,
    ) -> None:
        self.timeout = timeout
        self.addresses: list[Address] = []
        self._headers: dict[str, str] = {}
        if url is None:
            self.addresses += socket_paths(socket, None, os.environ)
        else:
            self.addresses.append(address_of(url))
            token = token or os.environ.get(TOKEN_VARIABLE)
        if token:
            self._headers["authorization"] = f"Bearer {token}"
        self._wishes = wishes(privacy, route, deadline)

    def get_request(self, path: str) -> bytes:
        return request("GET", path, headers=self._headers)

    def order_request(self, name: str, order: str, of: str = "models") -> bytes:
        """Order something of a model, a breaker, ...; whatever may be in its name stays in it."""
        kept = "".join(
            c if c.isascii() and c.isalnum() else "".join(f"%{byte:02X}" for byte in c.encode())
            for c in name
        )
        return request("POST", f"/supervisor/{of}/{kept}/{order}", b"", self._headers)

    def chat_request(self, messages: Messages, model: str, more: Fields) -> bytes:
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        return self._post("chat/completions", {"model": model, "messages": messages, **more})

    def stream_request(self, messages: Messages, model: str, more: Fields) -> bytes:
        streamed: Fields = {"stream": True, "stream_options": {"include_usage": True}}
        return self.chat_request(messages, model, {**more, **streamed})

    def embeddings_request(self, texts: str | Sequence[str], model: str, more: Fields) -> bytes:
        return self._post(
            "embeddings", {"model": model, "input": texts, "encoding_format": "float", **more}
        )

    def _post(self, path: str, body: Fields) -> bytes:
        headers = {"content-type": "application/json", **self._headers, **self._wishes}
        return request("POST", f"/v1/{path}", json.dumps(body).encode(), headers)


class Streaming:
    """A streamed answer as far as it has come: what has been said, and by whom."""

    def __init__(self) -> None:
        self._chat = Chat()
        self.response = Response()

    @property
    def text(self) -> str:
        """All of the text so far."""
        return "".join(self._chat.pieces)

    @property
    def finish(self) -> str:
        """Why it ended, in OpenAI's words; empty until it has."""
        return self._chat.finish

    @property
    def tokens(self) -> int:
        """Tokens of the answer, which its end tells."""
        return self._chat.tokens

    @property
    def served(self) -> Served:
        """Who answers; empty until somebody does."""
        return read_served(self.response.headers, self._chat.served)

    @property
    def over(self) -> bool:
        return self._chat.over

    def take(self, part: bytes) -> Iterator[Fields]:
        """Yield the events in the next bytes. Raises RefusedError for an error among them."""
        yield from self._chat.chunks(part)
        if self._chat.refused is not None:
            raise self._chat.refused

    def end(self) -> Iterator[Fields]:
        """Take in that nothing more comes. Raises CutError where that is no end."""
        yield from self.take(b"\n\n")
        if not self.over:
            raise CutError("its last word, [DONE], is missing")


def read_completion(response: Response, body: bytes) -> Completion:
    """Read a whole answer to a chat. Raises CutError for what is none."""
    said = _whole(body, "choices")
    finish = objects(said["choices"])[0].get("finish_reason")
    text = _message(said).get("content")
    return Completion(
        text if isinstance(text, str) else "",
        finish if isinstance(finish, str) else "",
        read_served(response.headers, {}),
        said,
    )


def read_vectors(_: Response, body: bytes) -> list[list[float]]:
    """Read embeddings, in the order of their texts. Raises CutError for what are none."""
    rows = objects(_whole(body, "data")["data"])
    rows.sort(key=lambda row: count(row.get("index")))
    return [vector for row in rows if isinstance(vector := row.get("embedding"), list)]


def read_models(_: Response, body: bytes) -> list[Fields]:
    """Read the rows of all models."""
    return objects(read_object(body).get("models"))


def read_model(_: Response, body: bytes) -> Fields:
    """Read one model's row."""
    return fields(read_object(body).get("model"))


def read_view(_: Response, body: bytes) -> Fields:
    """Read any of the service's views."""
    return read_object(body)


def read_served(headers: Mapping[str, str], later: Fields) -> Served:
    """Say who answered by an answer's head, or by the comment that came later."""
    names = ("target", "attempts", "shift", "model")
    told = {name: headers.get(f"x-supervisor-{name}", "") for name in names}
    told |= {name: str(later[name]) for name in names if later.get(name) is not None}
    known = told["attempts"].isdecimal() and len(told["attempts"]) <= _MAX_DIGITS
    attempts = int(told["attempts"]) if known else 0
    name = headers.get("x-request-id", "")
    return Served(told["target"], attempts, told["shift"], told["model"], name)


def _whole(body: bytes, member: str) -> Fields:
    said = read_object(body)
    if not objects(said.get(member)):
        raise CutError(f"it has no {member}", "what came is no answer")
    return said


def _message(body: Fields) -> Fields:
    return fields(objects(body.get("choices"))[0].get("message"))
