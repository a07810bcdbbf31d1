"""Models that were placed once: they tell a 503 from a 404."""

from collections.abc import Callable, Iterable, Iterator

from exo_supervisor.core.names import Address, ModelId

MAX_PAST_MODELS = 128
"""Models that one node told of and that are remembered when they are placed no more."""
MAX_PAST_NODES = 1024
"""Nodes whose models of the past are remembered; whoever told longest ago makes room."""


class Known:
    """What is placed now is always known; of the past each node has a share.

    A node that names thousands of models thereby forgets its own only.
    """

    def __init__(
        self, is_placed: Callable[[ModelId], bool], placed: Callable[[], Iterable[ModelId]]
    ) -> None:
        self._is_placed, self._placed = is_placed, placed
        self._past: dict[Address, dict[ModelId, None]] = {}
        self._told: dict[ModelId, int] = {}

    def __contains__(self, model: ModelId) -> bool:
        return model in self._told or self._is_placed(model)

    def __iter__(self) -> Iterator[ModelId]:
        yield from self._told
        yield from (model for model in self._placed() if model not in self._told)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def remember(self, node: Address, models: Iterable[ModelId]) -> None:
        """Remember that a node told of models that are placed."""
        past = self._past.pop(node, {})
        self._past[node] = past
        for model in models:
            if model not in past:
                past[model] = None
                self._told[model] = self._told.get(model, 0) + 1
                if len(past) > MAX_PAST_MODELS:
                    self._drop(past, next(iter(past)))
        if len(self._past) > MAX_PAST_NODES:
            longest_ago = self._past.pop(next(iter(self._past)))
            for model in tuple(longest_ago):
                self._drop(longest_ago, model)

    def _drop(self, past: dict[ModelId, None], model: ModelId) -> None:
        del past[model]
        self._told[model] -= 1
        if not self._told[model]:
            del self._told[model]
