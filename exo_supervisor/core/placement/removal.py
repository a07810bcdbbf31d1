"""What Exo is told to delete: all that stands of a model, or what is one too many of our own."""

from collections.abc import Iterator
from math import inf

from exo_supervisor.core.effects import RemoveModel
from exo_supervisor.core.fleet.nodes import Cluster, Node
from exo_supervisor.core.names import InstanceId, ModelId
from exo_supervisor.core.placement.desired import DesiredModel
from exo_supervisor.core.placement.eligibility import Eligibility
from exo_supervisor.core.placement.state import ANSWERS

DELETED = 5.0
"""Seconds after which what was deleted and stands all the same is deleted again."""


def remove(row: DesiredModel, eligibility: Eligibility, now: float) -> Iterator[RemoveModel]:
    """Have a model deleted wherever it stands, and nowhere twice at once."""
    for cluster, node in eligibility.candidates():
        standing = tuple(model for model in row.models if model in cluster.models)
        under_way = now < row.removing.get(cluster.key, -inf)
        if under_way or not standing:
            continue
        row.removing[cluster.key] = now + ANSWERS
        yield _removal(row, cluster, node, standing)


def thin_out(row: DesiredModel, eligibility: Eligibility, now: float) -> Iterator[RemoveModel]:
    """Have an instance of our own deleted that is one too many, if nothing runs on it.

    Of two supervisors that placed one each, the one whose instance has the higher id does so.
    """
    if not row.own:
        return
    for cluster, node in eligibility.candidates():
        if cluster.key in row.thinning:
            continue
        placed = [cluster.models[model] for model in row.models if model in cluster.models]
        surplus = row.surplus([one for each in placed for one in each.instances])
        if surplus:
            row.thinning[cluster.key] = now + ANSWERS
            yield _removal(row, cluster, node, row.models, only=surplus)


def _removal(
    row: DesiredModel,
    cluster: Cluster,
    node: Node,
    models: tuple[ModelId, ...],
    *,
    only: tuple[InstanceId, ...] = (),
) -> RemoveModel:
    return RemoveModel(
        model=row.models[0],
        cluster=cluster.key,
        node=node.address,
        url=node.url,
        state_paths=node.state_paths,
        models=models,
        only=only,
    )
