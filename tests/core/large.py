"""A large house: clusters of nodes that all run one model, found, identified and read."""

from exo_supervisor.core.events import NodeSighted, PlacementRead, ProbeAnswered
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.names import Address, ModelId, NodeId
from exo_supervisor.core.policy import Policy
from tests.core.story import BOTH, Story

M = ModelId("m")


def address(cluster: int, member: int) -> Address:
    """Name a node."""
    return Address(f"10.{cluster}.0.{member}:52415")


def members(cluster: int, many: int) -> tuple[NodeId, ...]:
    """List the ids of a cluster's nodes."""
    return tuple(NodeId(f"{address(cluster, member)}#0") for member in range(many))


def house(clusters: int, each: int, policy: Policy = BOTH) -> Story:
    """Build a house of so many clusters with so many nodes each, all of them ready."""
    story = Story(policy)
    for cluster in range(clusters):
        for member in range(each):
            at = address(cluster, member)
            story.tell(NodeSighted(node=at, url=f"http://{at}", source="test"))
            probe(story, cluster, member)
        read(story, cluster, each)
    return story


def probe(story: Story, cluster: int, member: int) -> None:
    """Let one node answer."""
    at = address(cluster, member)
    name = NodeId(f"{at}#0")
    story.tell(ProbeAnswered(node=at, generation="C", node_id=name, latency=0.01))


def read(story: Story, cluster: int, each: int, *, ready: bool = True) -> None:
    """Let every member of a cluster tell its state."""
    index = 10 + int(story.now) * each
    for member in range(each):
        models = (Placed(M, ready=ready),)
        at, listed = address(cluster, member), members(cluster, each)
        story.tell(PlacementRead(node=at, listed=listed, models=models, index=index))
