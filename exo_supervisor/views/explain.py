"""Where a node stands on the ladder, why it stands there, and what leads on, in sentences."""

from exo_supervisor.core.fleet.condition import Condition
from exo_supervisor.core.fleet.nodes import Cluster, Node
from exo_supervisor.core.fleet.registry import Registry
from exo_supervisor.core.fleet.stuck import STUCK_MODEL
from exo_supervisor.core.names import ModelId

RECENT = 3600.0
"""Seconds for which a restart or an election explains what is missing."""

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
    "outside": "its name leads out of this network",
    "other_user": "listened on by another user",
    "not_local": "its address is not of this house",
}
_TRY = {
    "refused": "start Exo there, or put the port of its --api-port into discovery.static",
    "timeout": "allow its TCP port in the firewall, or switch the host on",
    "no_route": "check the network, or take it out of discovery.static",
    "dns": "use its IP address in discovery.static",
    "tls": "Exo itself speaks http: write http:// in discovery.static",
    "not_exo": "put Exo's own port into discovery.static",
    "bad_answer": "put Exo's own port into discovery.static",
    "outside": "use its address in this network, or add its network to discovery.ranges",
    "other_user": "run Exo as root or as the service's user, or add its user to "
    "discovery.loopback_users",
}
_ANNOUNCERS = {
    "mdns": "mDNS announces it",
    "broadcast": "its broadcasts are heard",
    "multicast": "its multicasts are heard",
    "crawl": "its cluster names it",
}
"""What each source of sightings hears; a seed is heard of from a person."""
_ON_PORT = {
    "refused": "nothing listens on TCP {port}",
    "timeout": "TCP {port} does not answer",
}
_TRY_ANNOUNCED = {
    "refused": "start Exo there",
    "timeout": "allow TCP {port} in its firewall",
    "not_exo": "",
    "bad_answer": "",
}
_NOT_READY = {
    "host_down": "a host of it does not answer",
    "host_lags": "a host of it lags behind its cluster",
    "host_silent": "Exo has not heard of a host of it for over 15 s",
    "state_frozen": "the state of its cluster stands still",
    "runner_churn": "its runners end and begin over and over",
    "runner_failed": "its runner failed",
    "download_failed": "its download failed",
    "no_runners": "it has no runners",
}


def reason_of(why: str, detail: str = "") -> str:
    """Say why a look failed: refused, timed out and wrong answer are three stories."""
    reason = _WHY.get(why, why)
    return f"{reason} ({detail})" if detail and detail not in reason else reason


def span(seconds: float) -> str:
    """Write a duration in its largest unit."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def announced(node: Node) -> str | None:
    """Say who announces a node that has never answered; None where a person named it."""
    if node.was_up or node.seeded:
        return None
    return next((said for source, said in _ANNOUNCERS.items() if source in node.sources), None)


def namesake(node: Node, registry: Registry) -> str | None:
    """Name the address at which a silent node answers after all: hosts have several."""
    holders = (registry.address_of(claim) for claim in node.claims or ())
    return next((holder for holder in holders if holder is not None), None)


def explain(node: Node, registry: Registry, now: float) -> str:
    """Say in one sentence what keeps a node from its next rung."""
    if node.fell_from is not None:
        return (
            f"down since {span(now - node.since)}, was {node.fell_from}: {_silent(node, registry)}"
        )
    if not node.up:
        return _silent(node, registry)
    if node.twin:
        return f"another machine, {node.alias_of}, goes by the same node id: it gets nothing"
    if node.alias_of is not None:
        return f"it goes by the id of {node.alias_of}, which is trusted: it gets nothing"
    cluster = None if node.cluster is None else registry.clusters[node.cluster]
    said = _held_back(node, cluster, now)
    if node.restarted_at is None or now - node.restarted_at >= RECENT:
        return said
    return f"restarted {span(now - node.restarted_at)} ago: {said}"


def _silent(node: Node, registry: Registry) -> str:
    if node.why is None:
        return "not looked at yet"
    if (holder := namesake(node, registry)) is not None:
        return f"another address of {holder}, which answers"
    announcer = announced(node)
    if announcer is None:
        return reason_of(node.why, node.detail)
    port = node.address.rpartition(":")[2]
    reason = _ON_PORT.get(node.why, "").format(port=port) or reason_of(node.why, node.detail)
    return f"{announcer}, but {reason}"


def _held_back(node: Node, cluster: Cluster | None, now: float) -> str:
    if node.unread is not None:
        return f"its state cannot be read: {reason_of(node.unread)}"
    if cluster is None:
        return "its state was not read yet"
    if node.rung == "identified":
        return "generation A lists no model that it supports"
    if not cluster.condition.frozen and (lag := lag_of(node)) is not None:
        return lag
    if (lost := election(cluster.condition, now)) is not None:
        return lost
    if node.rung == "placed":
        return "no placed model is ready" + _best(cluster)
    return "no model is placed"


def lag_of(node: Node) -> str | None:
    """Say how a member stands behind the others of its cluster, where it does."""
    view = node.view
    if view is None or not view.lags:
        return None
    if view.behind:
        return f"lags by {view.behind} event{'' if view.behind == 1 else 's'} behind its cluster"
    if view.still:
        return "its state stands still"
    return "it has not joined its cluster's state yet"


def election(condition: Condition, now: float) -> str | None:
    """Say what an election cost, while it explains what is missing."""
    at, count = condition.elected_at, len(condition.lost)
    if at is None or not count or now - at >= RECENT:
        return None
    return f"re-elected, {count} model{'' if count == 1 else 's'} lost {span(now - at)} ago"


def _best(cluster: Cluster) -> str:
    """Say of one model why it is not ready, one that gets on before the others."""
    waiting = sorted(cluster.models.values(), key=lambda one: (one.progress is None, one.model))
    first = waiting[0]
    if not first.why:
        return ""
    more = f", and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    return f": {first.model}: {not_ready(first.why, first.progress, first.detail)}{more}"


def not_ready(why: str, progress: str | None = None, detail: str = "") -> str:
    """Say why a model is not ready, and how far it is or what Exo says of it."""
    said = _NOT_READY.get(why, why.replace("_", " "))
    if detail:
        return f"{said} ({detail})"
    if progress is not None and progress.startswith(said):
        return progress
    return f"{said}, {progress}" if progress else said


def stuck_for(condition: Condition, model: ModelId, now: float) -> float | None:
    """Tell for how long a model that is not ready has stood without change, if that is long."""
    found = condition.pending.get(model)
    return None if found is None or now - found.since < STUCK_MODEL else now - found.since


def advise_on(node: Node, registry: Registry) -> str | None:
    """Say what leads a node to its next rung; None where a person can do nothing."""
    if node.up and node.twin:
        return "delete the copied node id (Exo's node_id.keypair) there, and restart Exo there"
    if node.up:
        launch = f"no model is placed: launch one at {node.url}"
        return launch if node.rung == "clustered" else None
    if node.why is None or namesake(node, registry) is not None:
        return None
    if announced(node) is None or node.why not in _TRY_ANNOUNCED:
        return _TRY.get(node.why)
    host, _, port = node.address.rpartition(":")
    first = _TRY_ANNOUNCED[node.why].format(port=port)
    other = f"if its Exo runs with another --api-port, add http://{host}:PORT to discovery.static"
    return f"{first}; {other}" if first else other
