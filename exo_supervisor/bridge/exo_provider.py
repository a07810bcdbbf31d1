"""Exo as the service sees it: its nodes, their models, and chats that Exo alone may serve."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from exo_supervisor.client import AnswerError, Client
from exo_supervisor.client.json_object import Fields, count, fields, objects

NOBODY = "localhost", 8000
"""The node of the old defaults, where no Exo ever listened: it names none."""
_UP = frozenset({"reachable", "identified", "clustered", "placed", "ready"})
_GIB = 2**30


class ExoNodeStatus(Enum):
    """How a node is: online ones serve, degraded ones answer, and do not."""

    ONLINE = "online"
    OFFLINE = "offline"
    DEGRADED = "degraded"
    DISCOVERING = "discovering"


def local_now() -> datetime:
    """Return the time as the earlier bridge told it: local, without a zone."""
    return datetime.now()  # noqa: DTZ005 - see above


@dataclass
class ExoNode:
    """One node; `memory_gb` is 0 where Exo tells none."""

    id: str
    host: str
    port: int
    device_name: str
    memory_gb: float
    status: ExoNodeStatus = ExoNodeStatus.DISCOVERING
    last_seen: datetime | None = None
    models: list[str] = field(default_factory=list[str])

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}:{self.port}"

    def is_healthy(self, timeout_seconds: float = 30) -> bool:
        """Tell whether it was seen within so many seconds and is not offline."""
        if self.status is ExoNodeStatus.OFFLINE or self.last_seen is None:
            return False
        return (local_now() - self.last_seen).total_seconds() < timeout_seconds


class ExoClusterProvider:
    """Exo's nodes and models; `total_requests` and the like are of chats through this object."""

    def __init__(
        self,
        primary_node_host: str = NOBODY[0],
        primary_node_port: int = NOBODY[1],
        auto_discover: bool = True,  # noqa: FBT001, FBT002 - the old signature
        health_check_interval: int = 10,
        node_timeout: int = 30,
    ) -> None:
        self.primary_node_host, self.primary_node_port = primary_node_host, primary_node_port
        self.auto_discover, self.health_check_interval = auto_discover, health_check_interval
        self.node_timeout = node_timeout
        self.total_requests, self.total_compute_time = 0, 0.0
        self.last_reset = local_now()

    def start_health_monitoring(self) -> None:
        """Do nothing: the service looks at its nodes all the time."""

    def stop_health_monitoring(self) -> None:
        """Do nothing: nothing runs here."""

    @property
    def nodes(self) -> dict[str, ExoNode]:
        """The service's nodes by address, and the one that was named. Raises AnswerError."""
        rows = objects(Client().look("/supervisor/nodes").get("nodes"))
        found = {node.id: node for node in map(_node, rows)}
        host, port = self.primary_node_host, self.primary_node_port
        if (host, port) != NOBODY and f"{host}:{port}" not in found:
            missing = ExoNode(f"{host}:{port}", host, port, "", 0.0, ExoNodeStatus.OFFLINE)
            found[missing.id] = missing
        return found

    @property
    def is_cluster_available(self) -> bool:
        """Whether a node can serve; False, too, where no service answers."""
        return bool(self.check_cluster_health()["cluster_available"])

    @property
    def available_models(self) -> list[str]:
        """The models that are ready on a node."""
        return _ready_models(self._nodes())

    def check_cluster_health(self) -> Fields:
        """Count the nodes by how they are."""
        nodes = self._nodes()
        online = [node for node in nodes if node.status is ExoNodeStatus.ONLINE]
        offline = [node for node in nodes if node.status is ExoNodeStatus.OFFLINE]
        return {
            "healthy_nodes": len(online),
            "offline_nodes": len(offline),
            "total_nodes": len(nodes),
            "cluster_available": bool(online),
            "available_models": _ready_models(nodes),
        }

    def get_healthy_node(self) -> ExoNode | None:
        """Return one that can serve; which one serves a chat is for the service to choose."""
        return next((node for node in self._nodes() if node.status is ExoNodeStatus.ONLINE), None)

    def get_models(self) -> list[Fields]:
        return [{"id": name, "object": "model"} for name in self.available_models]

    def chat_completion(
        self,
        model: str,
        messages: Sequence[Mapping[str, object]],
        temperature: float = 0.7,
        max_tokens: int = 2048,
        stream: bool = False,  # noqa: FBT001, FBT002 - the old signature
        **more: object,
    ) -> tuple[Fields, str | None]:
        """Ask Exo alone; returns the answer and None, or nothing and what is wrong."""
        if stream:
            return {}, "a stream is no dict: exo_supervisor.client.Client().stream gives one"
        began = time.monotonic()
        more = {"temperature": temperature, "max_tokens": max_tokens, **more}
        try:
            answer = Client(route="exo").chat(messages, model=model, **more)
        except AnswerError as error:
            return {}, str(error)
        taken = time.monotonic() - began
        self.total_requests += 1
        self.total_compute_time += taken
        node = answer.served.target
        told = {"node_id": node, "compute_time": taken, "device": node}
        return {**answer.body, "exo_metadata": told}, None

    def get_status(self) -> Fields:
        """Tell all of the above at once."""
        health, requests = self.check_cluster_health(), self.total_requests
        return {
            "provider": "Exo Local Cluster",
            "available": health["cluster_available"],
            "nodes": {node.id: _shown(node) for node in self._nodes()},
            "health": health,
            "usage": {
                "total_requests": requests,
                "total_compute_time": self.total_compute_time,
                "avg_compute_time": self.total_compute_time / requests if requests else 0,
                "last_reset": self.last_reset.isoformat(),
            },
            "cost": 0.0,  # what Exo asks for; what power costs, nobody has told
            "available_models": health["available_models"],
        }

    def reset_usage(self) -> None:
        """Count from here on."""
        self.total_requests, self.total_compute_time = 0, 0.0
        self.last_reset = local_now()

    def _nodes(self) -> list[ExoNode]:
        """Return the nodes, none of them where no service answers."""
        try:
            return list(self.nodes.values())
        except AnswerError:
            return []


def _node(row: Fields) -> ExoNode:
    address = str(row.get("id"))
    host, _, port = address.rpartition(":")
    capacity, rung = fields(row.get("capacity")), row.get("rung")
    closed = fields(row.get("breaker")).get("state") == "closed"
    up = rung in _UP and row.get("was") is None
    status = ExoNodeStatus.DISCOVERING if rung == "seen" else ExoNodeStatus.OFFLINE
    if up:
        serves = rung == "ready" and closed
        status = ExoNodeStatus.ONLINE if serves else ExoNodeStatus.DEGRADED
    return ExoNode(
        address,
        host,
        int(port) if port.isdecimal() else 0,
        str(capacity.get("chip") or host),
        round(count(capacity.get("memory_total")) / _GIB, 1),
        status,
        local_now() if up else None,
        [str(each["id"]) for each in objects(row.get("models")) if each.get("ready")],
    )


def _ready_models(nodes: Sequence[ExoNode]) -> list[str]:
    online = (node for node in nodes if node.status is ExoNodeStatus.ONLINE)
    return sorted({model for node in online for model in node.models})


def _shown(node: ExoNode) -> Fields:
    return {
        "status": node.status.value,
        "device": node.device_name,
        "memory_gb": node.memory_gb,
        "models": len(node.models),
        "last_seen": node.last_seen.isoformat() if node.last_seen else None,
    }
