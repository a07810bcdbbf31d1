"""Which nodes share one state, and under which lasting key.

Two nodes are in one cluster if each lists the other's node id; who is tied to whom is decided in
`kinship`, and comes here as edges. A cluster's key is its lowest member address at birth and is
kept while any member stays, so that what is known of a cluster survives the coming and going of its
nodes.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from exo_supervisor.core.names import Address, ClusterKey


class Grouping(Struct, frozen=True):
    """Who belongs together now; `born` pairs each new key with the key it came from, if any."""

    members: dict[ClusterKey, tuple[Address, ...]]
    born: tuple[tuple[ClusterKey, ClusterKey], ...]
    gone: tuple[tuple[ClusterKey, ClusterKey | None], ...]
    """Keys that ended, each with the key that took its members over, if any."""


def regroup(
    edges: Mapping[Address, Iterable[Address]],
    old: Mapping[Address, ClusterKey],
    others: Iterable[ClusterKey] = (),
) -> Grouping:
    """Group nodes anew. `edges` holds each with those it is tied to, `others` the keys beside."""
    groups = sorted(_components(edges), key=lambda group: group[0])
    keys = _keep_keys(groups, old)
    taken = set(keys.values())
    used = (
        taken | set(old.values()) | set(others)
    )  # a key that ends now must not begin anew in the same breath
    born: list[tuple[ClusterKey, ClusterKey]] = []
    for place, group in enumerate(groups):
        if place in keys:
            continue
        keys[place] = _fresh_key(group, used)
        used.add(keys[place])
        parent = next((old[node] for node in group if node in old), None)
        if parent is not None:
            born.append((keys[place], parent))
    heir = {node: keys[place] for place, group in enumerate(groups) for node in group}
    ended = sorted(set(old.values()) - taken)
    gone = tuple((key, _heir_of(key, old, heir)) for key in ended)
    members = {keys[place]: tuple(group) for place, group in enumerate(groups)}
    return Grouping(members, tuple(born), gone)


def _components(edges: Mapping[Address, Iterable[Address]]) -> list[list[Address]]:
    root: dict[Address, Address] = {node: node for node in edges}

    def find(node: Address) -> Address:
        while root[node] != node:
            root[node] = root[root[node]]
            node = root[node]
        return node

    for node, listed in edges.items():
        for other in listed:
            if other in root:
                root[find(node)] = find(other)
    groups: dict[Address, list[Address]] = {}
    for node in sorted(edges):
        groups.setdefault(find(node), []).append(node)
    return list(groups.values())


def _keep_keys(
    groups: Sequence[Sequence[Address]], old: Mapping[Address, ClusterKey]
) -> dict[int, ClusterKey]:
    """Give each old key to the group with its namesake, else to the one with most members."""
    claims: list[tuple[bool, int, int, ClusterKey]] = []
    for place, group in enumerate(groups):
        counts: dict[ClusterKey, int] = {}
        for node in group:
            if (key := old.get(node)) is not None:
                counts[key] = counts.get(key, 0) + 1
        claims += [(key not in group, -count, place, key) for key, count in counts.items()]
    kept: dict[int, ClusterKey] = {}
    for _, _, place, key in sorted(claims):
        if place not in kept and key not in kept.values():
            kept[place] = key
    return kept


def _fresh_key(group: Sequence[Address], taken: set[ClusterKey]) -> ClusterKey:
    """Name a new cluster after its lowest member whose name is free."""
    free = (ClusterKey(node) for node in group if node not in taken)
    key = next(free, ClusterKey(f"{group[0]}+"))
    while key in taken:
        key = ClusterKey(f"{key}+")
    return key


def _heir_of(
    key: ClusterKey, old: Mapping[Address, ClusterKey], heir: Mapping[Address, ClusterKey]
) -> ClusterKey | None:
    return next((heir[node] for node, was in old.items() if was == key and node in heir), None)
