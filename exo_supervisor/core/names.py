"""The names that things go by, so that no two kinds of name are mixed up."""

from typing import Literal, NewType

Address = NewType("Address", str)
"""A node's `host:port`; it outlives Exo's own node id, which is new at every start."""

ProviderName = NewType("ProviderName", str)
"""A cloud's name in the configuration; it holds no `:` and no `/`."""

Target = Address | ProviderName
"""Who can take an attempt."""

ClusterKey = NewType("ClusterKey", str)
"""The lowest member address at a cluster's birth, kept while any member stays."""

Scope = ClusterKey | ProviderName
"""Where a model lives: what shares one copy of it shares its health."""

ModelId = NewType("ModelId", str)
"""A model's id as one target knows it."""

InstanceId = NewType("InstanceId", str)
"""One copy of a model on a cluster; a session that begins anew knows none of the old ids."""

RequestId = NewType("RequestId", str)
NodeId = NewType("NodeId", str)
"""What a node calls itself: a peer id, a hexadecimal number or a UUID."""

Generation = Literal["A", "B", "C"]
"""A: up to v0.0.15 and the last main before 1.0. B: 1.0.x over libp2p. C: the zenoh line."""

Side = Literal["exo", "cloud"]

TrustRule = Literal["link", "private", "named"]
"""`discovery.trust`: what is done with nodes that are only found."""
