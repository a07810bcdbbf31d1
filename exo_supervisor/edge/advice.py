"""What a person should do next, in sentences: about one node, and about the house."""

from exo_supervisor.core.machine import Machine
from exo_supervisor.core.nodes import Node

_WHY = {
    "refused": "the host is up, but nothing listens there",
    "timeout": "nothing answers there",
    "no_route": "no route leads there",
    "dns": "its name is not known",
    "tls": "TLS failed",
    "reset": "it cut the connection",
    "not_exo": "what answers there is no Exo",
    "bad_answer": "what answers there is no Exo that we understand",
    "bad_key": "it asks for a key",
}
_TRY = {
    "refused": "start Exo there, or put the port of its --api-port into discovery.static",
    "timeout": "allow its TCP port in the firewall, or switch the host on",
    "no_route": "check the network, or take it out of discovery.static",
    "dns": "use its IP address in discovery.static",
    "tls": "Exo itself speaks http: write http:// in discovery.static",
    "not_exo": "put Exo's own port into discovery.static",
    "bad_answer": "put Exo's own port into discovery.static",
}
MOST = 5
"""Lines of advice, at most."""


def reason_of(why: str, detail: str = "") -> str:
    """Say why a look failed: refused, timed out and wrong answer are three stories."""
    reason = _WHY.get(why, why)
    return f"{reason} ({detail})" if detail and detail not in reason else reason


def explain(node: Node) -> str:
    """Say in one sentence what keeps a node from its next rung."""
    if not node.up:
        return "not looked at yet" if node.why is None else reason_of(node.why, node.detail)
    if node.unread is not None:
        return f"its state cannot be read: {reason_of(node.unread)}"
    if node.cluster is None:
        return "its state was not read yet"
    if node.rung == "identified":
        return "generation A lists no model that it supports"
    return "no placed model is ready" if node.rung == "placed" else "no model is placed"


def advise_on(node: Node) -> str | None:
    """Say what leads a node to its next rung; None where a person can do nothing."""
    if not node.up:
        return None if node.why is None else _TRY.get(node.why)
    if node.rung == "clustered":
        return f"no model is placed: launch one at {node.url}"
    return None


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
    for node in registry.nodes.values():
        about = advise_on(node)
        if not stuck and not node.up and node.address.startswith("127."):
            continue  # no Exo on this host, and none is missed
        if about is not None and node.alias_of is None and (node.seeded or node.up):
            lines.append(f"{node.address}: {about}")
    if stuck and not clouds.providers:
        lines.append("or add a [[provider]] and set its key")
    if stuck:
        lines.append("or watch it work without either: exo-supervisor demo")
    return lines[:MOST]


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
