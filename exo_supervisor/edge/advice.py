"""What a person should do next about the house, in sentences, and who serves."""

from collections.abc import Iterator

from exo_supervisor.core.machine import Machine
from exo_supervisor.core.nodes import Node
from exo_supervisor.core.placing import GivenUp
from exo_supervisor.core.registry import Registry
from exo_supervisor.edge.rungs import (
    advise_on,
    announced,
    election,
    namesake,
    not_ready,
    span,
    stuck_for,
)

MOST = 5
"""Lines of advice, at most."""
_NAMES = {
    "A": "generation A (0.0.15)",
    "B": "generation B (1.0.x)",
    "C": "generation C (0.3.x)",
}


def advise(machine: Machine, now: float) -> list[str]:
    """Say what to do, the most useful first."""
    registry, clouds = machine.tables.registry, machine.tables.clouds
    lines = [
        f"{provider.cloud.name} refused its key: set a new one and restart"
        for provider in clouds.providers.values()
        if provider.state(now) == "bad_key"
    ]
    stuck = machine.looked() and not machine.can_serve(now)
    if stuck and not registry.any_up():
        lines.append('start Exo here, or set discovery.static = ["http://HOST:52415"]')
    lines += _on_models(machine)
    lines += _on_clusters(registry, now)
    for node in registry.nodes.values():
        if not stuck and not node.up and node.address.startswith("127."):
            continue  # no Exo on this host, and none is missed
        if node.alias_of is None:
            lines += _on_node(node, registry)
    lines += _on_generations(registry)
    if stuck and not clouds.providers:
        lines.append("or add a [[provider]] and set its key")
    if stuck:
        lines.append("or watch it work without either: exo-supervisor demo")
    return lines[:MOST]


def _on_models(machine: Machine) -> Iterator[str]:
    for row in machine.tables.keeper.wants:
        if isinstance(row.placing, GivenUp):
            model, why = row.models[0], row.placing.why
            yield f"{model} could not be placed ({why}): exo-supervisor models place {model}"


def _on_clusters(registry: Registry, now: float) -> Iterator[str]:
    for cluster in registry.clusters.values():
        if not any(registry.nodes[member].up for member in cluster.members):
            continue
        condition = cluster.condition
        if condition.frozen:
            yield f"{cluster.key}: Exo's state stands still: restart Exo on all its nodes at once"
            continue
        if (lost := election(condition, now)) is not None:
            yield f"{cluster.key}: {lost}: exo-supervisor models place NAME, or keep = true"
        for model, pending in condition.pending.items():
            if (lasting := stuck_for(condition, model, now)) is not None:
                why = not_ready(pending.why or "not ready", pending.progress)
                yield (
                    f"{model} at {cluster.key} is stuck for {span(lasting)} ({why}): "
                    f"exo-supervisor models remove {model}, then place; or restart Exo there"
                )


def _on_node(node: Node, registry: Registry) -> Iterator[str]:
    about = advise_on(node, registry)
    if about is not None and (node.seeded or node.up):
        yield f"{node.address}: {about}"
    elif node.rung in node.stuck_on and announced(node) and namesake(node, registry) is None:
        yield f"{node.address} is only {node.rung}: exo-supervisor nodes says why"


def _on_generations(registry: Registry) -> Iterator[str]:
    found = {node.generation: node for node in registry.nodes.values() if node.up}
    named = " and ".join(_NAMES[each] for each in sorted(filter(None, found)))
    placed = any(cluster.models for cluster in registry.clusters.values())
    if len(found) > 1 and placed:
        yield f"{named} never form one cluster: run one on all hosts to share a model"


def sum_up(machine: Machine, now: float) -> str:
    """Say in a few words who serves."""
    if not machine.looked():
        return "looking at the nodes for the first time"
    local = next(machine.tables.registry.ready_models(), None) is not None
    cloud = any(provider.usable(now) for provider in machine.tables.clouds.providers.values())
    if local:
        return "Exo serves, cloud stands by" if cloud else "Exo serves"
    if cloud:
        return "cloud serves, no Exo model is ready"
    exo = "no model is ready" if machine.tables.registry.any_up() else "no Exo node found"
    return f"{exo}, no provider has a key"
