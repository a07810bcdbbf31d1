"""What is drawn behind a target: as each node reads it, else as it is said, above what idles."""

import pytest

from exo_supervisor.core.fleet.capacity import Capacity
from exo_supervisor.core.fleet.draw import Watts, draw_of
from exo_supervisor.core.fleet.nodes import Cluster, Node
from exo_supervisor.core.fleet.placed import Instance, Placed
from exo_supervisor.core.fleet.registry import Registry
from exo_supervisor.core.names import Address, ClusterKey, InstanceId, ModelId, NodeId
from exo_supervisor.core.policy import ANY_PEER

A, B = Address("a:1"), Address("b:1")
KEY = ClusterKey("a:1")
SAID = Watts(60_000, 10_000)


def registry(*hosts: str, **power: float | None) -> Registry:
    """Make a cluster of a and b; `hosts` are the ids of who runs its model."""
    made = Registry()
    for address in (A, B):
        name = address[0]
        capacity = Capacity(power=power[name]) if name in power else None
        made.nodes[address] = Node(address, "", 0.0, cluster=KEY, capacity=capacity)
        made.nodes[address].node_id = NodeId(name)
        made.topology.claim(made.nodes[address])
    cluster = made.clusters[KEY] = Cluster(KEY, (A, B), ANY_PEER)
    if hosts:
        runs = Instance(InstanceId("i"), ready=True, hosts=tuple(map(NodeId, hosts)))
        model = ModelId("m")
        cluster.models[model] = Placed(model, ready=True, instances=(runs,))
    return made


@pytest.mark.parametrize(
    ("made", "watts", "power"),
    [
        (registry("a", "b", a=40.0, b=20.5), SAID, 40_500),
        (registry("a", a=40.0, b=20.5), SAID, 30_000),
        (registry("a", "b", a=40.0), SAID, 80_000),
        (registry("a", "b", a=40.0), Watts(), None),
        (registry("a", "ghost", a=40.0), SAID, 80_000),
        (registry("a", "ghost", a=40.0), Watts(), None),
        (registry(a=40.0), SAID, 80_000),
        (registry("a", a=5.0), SAID, 0),
        (registry("a", a=-1.0), SAID, 50_000),
        (registry("a", a=1e9), SAID, 50_000),
    ],
)
def test_those_who_run_models_draw_above_what_idles(
    made: Registry, watts: Watts, power: int | None
) -> None:
    assert draw_of(made, A, watts) == (KEY, power)
    assert draw_of(made, B, watts) == (KEY, power)


def test_a_node_of_no_cluster_stands_for_itself() -> None:
    lone = Address("c:1")
    made = registry()
    assert draw_of(made, lone, SAID) == (lone, 50_000)
    made.nodes[lone] = Node(lone, "", 0.0)
    assert draw_of(made, lone, SAID) == (lone, 50_000)
    assert draw_of(made, lone, Watts()) == (lone, None)
