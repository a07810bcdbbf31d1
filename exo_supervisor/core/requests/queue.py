"""The line of requests that wait: for a seat, a busy target, the first look, or a model."""

from collections.abc import Iterator

from exo_supervisor.core.names import ModelId, RequestId
from exo_supervisor.core.requests.request import RequestState


class Waiting:
    """Keeps who waits in order of arrival in it, and finds those whom one model concerns.

    An end of an attempt must not cost a look at everybody who waits for something else.
    """

    def __init__(self) -> None:
        self.line: dict[RequestId, tuple[ModelId, ...]] = {}
        self._by_model: dict[ModelId, dict[RequestId, None]] = {}

    def __len__(self) -> int:
        return len(self.line)

    def __contains__(self, request: object) -> bool:
        return request in self.line

    def __iter__(self) -> Iterator[RequestId]:
        return iter(list(self.line))

    def add(self, state: RequestState, until: float) -> bool:
        """Put a request at the end of the line, or leave it where it stands in it.

        True: it waits for another instant than before.
        """
        moved, state.waiting_until = state.waiting_until != until, until
        request = state.event.request
        if request in self.line:
            return moved
        models = tuple({m for tier in state.tiers if tier.provider is None for m in tier.models})
        self.line[request] = models
        for model in models:
            self._by_model.setdefault(model, {})[request] = None
        return moved

    def remove(self, state: RequestState) -> None:
        """Take a request out of the line, if it stands there."""
        request, state.waiting_until = state.event.request, None
        for model in self.line.pop(request, ()):
            line = self._by_model[model]
            del line[request]
            if not line:
                del self._by_model[model]

    def for_model(self, model: ModelId | None) -> list[RequestId]:
        """List those whom a model of Exo could serve, the longest waiting first; None: anybody."""
        return list(self.line if model is None else self._by_model.get(model, ()))
