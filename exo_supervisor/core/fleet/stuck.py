"""Nodes and models that do not get any further, each named once."""

from collections.abc import Iterator

from msgspec import structs

from exo_supervisor.core.effects import Announce, say
from exo_supervisor.core.fleet.nodes import Node
from exo_supervisor.core.fleet.registry import Registry

STUCK_NODE = 240.0
"""Seconds on one rung after which a node is stuck there."""
STUCK_MODEL = 300.0
"""Seconds without any change after which a model that is not ready is stuck (Exo 1321, 1458)."""


def stuck_nodes(registry: Registry, now: float) -> Iterator[Announce]:
    """Name the nodes that stand below ready for long, once on each rung until they are ready.

    That no model is placed or ready may be meant so, which is no warning. An own host without an
    Exo is no fault, nor is a node that answers at another of its addresses.
    """
    for node in registry.nodes.values():
        if node.rung == "ready":
            node.stuck_on = frozenset()
        elif _is_stuck(node, registry, now):
            node.stuck_on = node.stuck_on.union((node.rung,))
            level = "info" if node.rung in ("clustered", "placed") else "warning"
            yield say(
                level, "node_stuck", node=node.address, rung=node.rung,
                sources=sorted(node.sources), why=node.why or node.unread,
                **{"for": round(now - node.since, 1)},
            )  # fmt: skip


def _is_stuck(node: Node, registry: Registry, now: float) -> bool:
    if node.rung in node.stuck_on or now - node.since < STUCK_NODE:
        return False
    absent = node.address.startswith("127.") and not node.was_up
    elsewhere = any(registry.address_of(claim) is not None for claim in node.claims or ())
    return node.alias_of is None and not absent and not elsewhere


def stuck_models(registry: Registry, now: float) -> Iterator[Announce]:
    """Name the models that stand placed, not ready and without any change for long."""
    for cluster in registry.clusters.values():
        pending = cluster.condition.pending
        stuck = [
            (model, one)
            for model, one in pending.items()
            if not one.told and now - one.since >= STUCK_MODEL
        ]
        for model, one in stuck:
            facts = {"why": one.why, "progress": one.progress, "for": round(now - one.since, 1)}
            yield say("warning", "model_stuck", cluster=cluster.key, model=model, **facts)
        if stuck:
            told = {model: structs.replace(one, told=True) for model, one in stuck}
            cluster.condition.pending = {**pending, **told}
