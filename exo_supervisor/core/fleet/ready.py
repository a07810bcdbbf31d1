"""Which nodes can answer for a model now, kept as an index."""

from collections.abc import Iterator

from exo_supervisor.core.names import Address, ModelId


class Ready:
    """Owns the index; whoever changes what it depends on sets the models concerned anew.

    `version` grows with every change of who is ready for what, `shape` with every change of how a
    node, its cluster or the copies of a model stand: what is made from those is made anew then.
    """

    def __init__(self) -> None:
        self.version = self.shape = 0
        self._nodes: dict[ModelId, list[Address]] = {}
        self._was: dict[ModelId, bool] = {}

    def __iter__(self) -> Iterator[ModelId]:
        return iter(self._nodes)

    def nodes(self, model: ModelId) -> list[Address]:
        """List the nodes that can answer for a model."""
        return self._nodes.get(model, [])

    def set(self, model: ModelId, nodes: list[Address]) -> None:
        """Say who can answer for a model now."""
        if nodes == self.nodes(model):
            return
        self.version += 1
        self._was.setdefault(model, model in self._nodes)
        if nodes:
            self._nodes[model] = nodes
        else:
            del self._nodes[model]

    def changes(self) -> list[tuple[ModelId, bool]]:
        """List the models that became ready or ceased to be since the last call, with which."""
        found = [
            (model, model in self._nodes)
            for model, was in sorted(self._was.items())
            if was != (model in self._nodes)
        ]
        self._was.clear()
        return found
