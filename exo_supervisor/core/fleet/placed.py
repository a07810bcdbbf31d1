"""What stands on a cluster, as one of its nodes told it."""

from msgspec import Struct

from exo_supervisor.core.names import InstanceId, ModelId, NodeId


class Instance(Struct, frozen=True):
    """One copy of a model: ready only if each of its runners is; `hosts` are who runs them.

    `running`: a request is at work on it. `detail`: why it failed, in Exo's words.
    """

    id: InstanceId
    ready: bool
    why: str = ""
    progress: str | None = None
    hosts: tuple[NodeId, ...] = ()
    running: bool = False
    detail: str = ""


class Placed(Struct, frozen=True):
    """One model on one cluster: as good as the best of its instances."""

    model: ModelId
    ready: bool
    why: str = ""
    progress: str | None = None
    instances: tuple[Instance, ...] = ()
    detail: str = ""
