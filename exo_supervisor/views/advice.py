"""What a person should do next about the house, in sentences, and who serves."""

from collections.abc import Iterator

from exo_supervisor.core.fleet.nodes import Node
from exo_supervisor.core.fleet.providers import Provider
from exo_supervisor.core.fleet.registry import Registry
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.placement.state import GivenUp
from exo_supervisor.views.explain import (
    advise_on,
    announced,
    election,
    namesake,
    not_ready,
    span,
    stuck_for,
)
from exo_supervisor.views.models import FAILED, instances

DEFAULT_SEED = "127.0.0.1:52415"
"""Where an Exo of this host would be; it is looked at although nobody named it."""
MOST = 5
"""Lines of advice, at most."""
MAX_WORDS = 45
"""Characters of a provider's own words in one of them."""
_NAMES = {
    "A": "generation A (0.0.15)",
    "B": "generation B (1.0.x)",
    "C": "generation C (0.3.x)",
}


def advise(machine: Machine, now: float) -> list[str]:
    """Say what to do, the most useful first."""
    registry, clouds = machine.tables.registry, machine.tables.clouds
    lines = [
        _on_key(provider)
        for provider in clouds.providers.values()
        if provider.state(now) == "bad_key"
    ]
    stuck = machine.looked() and not machine.tables.can_serve(now)
    if stuck and not any(node.was_up for node in registry.nodes.values()):
        lines.append('start Exo here, or set discovery.static = ["http://HOST:52415"]')
    lines += _on_models(machine)
    lines += _on_clusters(registry, now)
    for node in registry.nodes.values():
        if (node.alias_of is None or node.twin) and not is_nobodys(node):
            lines += _on_node(node, registry)
    lines += _on_generations(registry)
    if stuck and not clouds.providers:
        lines.append("or add a [[provider]] and set its key")
    if stuck:
        lines.append("or watch it work without either: exo-supervisor demo")
    return lines[:MOST]


def is_nobodys(node: Node) -> bool:
    """Say whether a node is only the default seed: no Exo is on this host, and none was."""
    return not node.was_up and node.address == DEFAULT_SEED


def _on_key(provider: Provider) -> str:
    """Say why a provider is left alone: a new key does not fill an empty account."""
    name, why = provider.cloud.name, provider.key_why()
    if why:
        return f"{name} serves nothing now: {why[:MAX_WORDS]}"
    keys = len(provider.keys)
    which = "its key: set a new one" if keys == 1 else f"all its {keys} keys: set new ones"
    return f"{name} refused {which} and restart"


def _on_models(machine: Machine) -> Iterator[str]:
    for row in machine.tables.reconciler.desired:
        if isinstance(row.placing, GivenUp) and (row.placing.how or ("",))[0] not in FAILED:
            model, why = row.models[0], row.placing.why
            yield f"{model} could not be placed ({why}): exo-supervisor models place {model}"
        many = instances(machine, row.models)
        if many > 1 and row.is_wanted():
            yield (
                f"{row.models[0]} stands {many} times where one was asked for: "
                f"exo-supervisor models remove {row.models[0]}, then place"
            )


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
        for model, placed in cluster.models.items():
            if placed.why in FAILED:
                said = not_ready(placed.why, detail=placed.detail)
                yield (
                    f"{model} at {cluster.key}: {said}: "
                    f"exo-supervisor models remove {model}, then place"
                )
        for model, pending in condition.pending.items():
            if (
                pending.why not in FAILED
                and (lasting := stuck_for(condition, model, now)) is not None
            ):
                why = not_ready(pending.why or "not ready", pending.progress)
                yield (
                    f"{model} at {cluster.key} is stuck for {span(lasting)} ({why}): "
                    f"exo-supervisor models remove {model}, then place; or restart Exo there"
                )


def _on_node(node: Node, registry: Registry) -> Iterator[str]:
    about = advise_on(node, registry)
    if about is not None and (node.seeded or node.was_up):
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
    """Say in a few words who serves, by what was seen."""
    if not machine.looked():
        return "still looking at nodes and providers"
    order, registry = machine.tables.policy.order, machine.tables.registry
    local = "exo" in order and next(registry.ready_models(), None) is not None
    house = machine.tables.stand_by(now, "exo") if "exo" in order else []
    cloud = "cloud" in order and machine.tables.cloud_stands_by(now)
    if local:
        missing = ", no cloud stands by" if machine.tables.clouds.providers else ""
        return "Exo serves, cloud stands by" if cloud else f"Exo serves{missing}"
    if house:
        return f"{house[0]} serves at home, no model is ready at Exo"
    exo = "no model is ready" if registry.any_up() else "no Exo node found"
    if "exo" not in order:
        exo = "routing.order has no exo"
    elif any(node.fell_from is not None for node in registry.nodes.values()):
        exo = exo if registry.any_up() else "no Exo node answers"
    return f"cloud serves, {exo}" if cloud else f"{exo}, {_no_cloud(machine, now)}"


def _no_cloud(machine: Machine, now: float) -> str:
    """Say why no provider could serve."""
    tables = machine.tables
    providers = [each for each in tables.clouds.providers.values() if not each.cloud.local]
    states = {provider.state(now) for provider in providers}
    if not states:
        return "no provider is configured"
    if "cloud" not in tables.policy.order:
        return "routing.order has no cloud"
    if tables.policy.local_only:
        return "nothing may leave the house"
    if states == {"off"}:
        return "no provider has a key"
    if states <= {"off", "bad_key"}:
        return "every provider refused its key"
    return "no provider was reached" if "ready" not in states else "every provider is held open"
