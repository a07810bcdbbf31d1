"""The client of programs that wait: each call is one request on a connection of its own."""

from _socket import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Self, TypeVar

from exo_supervisor.client import calls, http
from exo_supervisor.client.calls import Caller, Completion, Messages, Streaming
from exo_supervisor.client.chat import content_of
from exo_supervisor.client.errors import NoAnswerError
from exo_supervisor.client.http import Answer, Response
from exo_supervisor.client.json_object import Fields

T = TypeVar("T")


class Client(Caller):
    """Asks one service; it may be shared by threads. Every call raises AnswerError."""

    def chat(self, messages: Messages, *, model: str, **more: object) -> Completion:
        """Ask for a whole answer; `more` are further fields of the request, as OpenAI names them.

        The answer is whole, or it raises: RefusedError, CutError, NoAnswerError.
        """
        return self._ask(self.chat_request(messages, model, more), calls.read_completion)

    def stream(self, messages: Messages, *, model: str, **more: object) -> "Stream":
        """Ask for a streamed answer, which is iterated over as text; asked once that begins."""
        return Stream(self, self.stream_request(messages, model, more))

    def embeddings(
        self, texts: str | Sequence[str], *, model: str, **more: object
    ) -> list[list[float]]:
        """Turn texts into vectors, in their order."""
        return self._ask(self.embeddings_request(texts, model, more), calls.read_vectors)

    def models(self) -> list[Fields]:
        """List what is known of each model: its `id`, its `state`, and `where` it is."""
        return self._ask(self.get_request("/supervisor/models"), calls.read_models)

    def status(self) -> Fields:
        """Tell whether the service can serve, by what, and what to do if not."""
        return self.look("/supervisor/status")

    def look(self, path: str) -> Fields:
        """GET a view of the service's, such as `/supervisor/nodes`."""
        return self._ask(self.get_request(path), calls.read_view)

    def place(self, name: str) -> Fields:
        """Order a model to be placed on Exo; return its row, which goes on from there."""
        return self._ask(self.order_request(name, "place"), calls.read_model)

    def remove(self, name: str) -> Fields:
        """Order a model to be removed from Exo; its answers there end."""
        return self._ask(self.order_request(name, "remove"), calls.read_model)

    def release(self, target: str) -> Fields:
        """Let a breaker that a person holds decide by itself again; return its row."""
        return self._ask(self.order_request(target, "auto", of="breakers"), calls.read_view)

    def _ask(self, request: bytes, read: Callable[[Response, bytes], T]) -> T:
        answer = self.open(request)
        try:
            return read(answer.response, answer.whole())
        finally:
            answer.close()

    def open(self, request: bytes) -> Answer:
        """Send a request and return a good answer's start. Raises AnswerError."""
        return http.send(self._connect(), request, timeout=self.timeout)

    def _connect(self) -> socket:
        tried: list[str] = []
        for address in self.addresses:
            try:
                return http.connect(address, self.timeout or http.CONNECT_TIMEOUT)
            except OSError as error:
                tried.append(f"{http.spelled(address)}: {http.reason_of(error)}")
        raise NoAnswerError("; ".join(tried))


class Stream(Streaming):
    """A streamed answer: iterate over it for its text, over `chunks` for its events.

    It raises where the answer is not whole, and never ends quietly. To leave it early cancels the
    request at the service: `close`, or the end of a `with`.
    """

    def __init__(self, client: Client, request: bytes) -> None:
        super().__init__()
        self._client, self._request = client, request
        self._answer: Answer | None = None

    def __iter__(self) -> Iterator[str]:
        return filter(None, map(content_of, self.chunks()))

    def chunks(self) -> Iterator[Fields]:
        """Yield each event as it comes: OpenAI's `chat.completion.chunk`."""
        self._answer = answer = self._client.open(self._request)
        try:
            self.response = answer.response
            for part in answer.parts():
                yield from self.take(part)
                if self.over:
                    return
            yield from self.end()
        finally:
            self.close()

    def close(self) -> None:
        if self._answer is not None:
            self._answer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
