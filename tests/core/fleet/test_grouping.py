"""Nodes find their cluster, and a cluster keeps its key as long as anybody stays."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.fleet.grouping import Grouping, regroup
from exo_supervisor.core.names import Address, ClusterKey


def group(edges: Mapping[str, str], old: Mapping[str, str]) -> Grouping:
    """Write nodes as letters: `{"a": "bc"}` is a node that lists two others."""
    listed = {Address(node): [Address(other) for other in others] for node, others in edges.items()}
    return regroup(listed, {Address(node): ClusterKey(key) for node, key in old.items()})


def shape(grouping: Grouping) -> dict[str, str]:
    return {str(key): "".join(members) for key, members in grouping.members.items()}


@pytest.mark.parametrize(
    ("edges", "old", "members", "born", "gone"),
    [
        pytest.param({}, {}, {}, (), (), id="nobody"),
        pytest.param({"a": "", "b": ""}, {}, {"a": "a", "b": "b"}, (), (), id="strangers"),
        pytest.param({"b": "a", "a": ""}, {}, {"a": "ab"}, (), (), id="one side is enough"),
        pytest.param({"a": "axy"}, {}, {"a": "a"}, (), (), id="unknown ones are not invented"),
        pytest.param({"a": "b", "b": "c", "c": "d", "d": ""}, {}, {"a": "abcd"}, (), (),
                     id="chain"),
        pytest.param({"a": "b", "b": ""}, {"b": "b"}, {"b": "ab"}, (), (), id="a newcomer joins"),
        pytest.param({"b": "c", "c": ""}, dict.fromkeys("abc", "a"), {"a": "bc"}, (), (),
                     id="the namesake left, the key stays"),
        pytest.param({"a": "", "b": "c", "c": ""}, dict.fromkeys("abc", "a"),
                     {"a": "a", "b": "bc"}, (("b", "a"),), (), id="a split: the namesake keeps it"),
        pytest.param({"b": "", "c": "d", "d": ""}, dict.fromkeys("bcd", "a"),
                     {"b": "b", "a": "cd"}, (("b", "a"),), (), id="a split: else the most"),
        pytest.param({"a": "b", "b": ""}, {"a": "a", "b": "b"}, {"a": "ab"}, (), (("b", "a"),),
                     id="a merge"),
        pytest.param({"a": ""}, {"a": "a", "b": "b"}, {"a": "a"}, (), (("b", None),),
                     id="everybody left"),
        pytest.param({"a": "", "b": ""}, {"b": "a"}, {"a+": "a", "a": "b"}, (), (),
                     id="a namesake returned, the key is taken"),
        pytest.param({"a": "", "b": "", "c": ""}, {"b": "a", "c": "a+"},
                     {"a++": "a", "a": "b", "a+": "c"}, (), (), id="taken twice"),
        pytest.param({"a": "c", "b": "", "c": ""}, {"b": "a"}, {"c": "ac", "a": "b"}, (), (),
                     id="the lowest name that is free"),
        pytest.param({"k": "n", "m": "", "n": ""}, {"k": "k", "n": "m"},
                     {"k": "kn", "m+": "m"}, (), (("m", "k"),), id="an ended key rests a while"),
    ],
)  # fmt: skip
def test_groups(
    edges: Mapping[str, str],
    old: Mapping[str, str],
    members: Mapping[str, str],
    born: tuple[tuple[str, str], ...],
    gone: tuple[tuple[str, str | None], ...],
) -> None:
    grouping = group(edges, old)
    assert (shape(grouping), grouping.born, grouping.gone) == (members, born, gone)


NODES = st.sampled_from("abcdef")
EDGES = st.dictionaries(NODES, st.text(NODES, max_size=3))
HISTORY = st.lists(EDGES, min_size=1, max_size=6)


@given(HISTORY)
def test_through_any_history(history: list[dict[str, str]]) -> None:
    old: dict[str, str] = {}
    for edges in history:
        grouping = group(edges, old)
        placed = [node for members in grouping.members.values() for node in members]
        assert sorted(placed) == sorted(edges), "each node in exactly one cluster"
        assert len(grouping.members) == len(set(grouping.members)), "keys are unique"
        born, ended = dict(grouping.born), dict(grouping.gone)
        for key, members in grouping.members.items():
            assert list(members) == sorted(members)
            before = {old[node] for node in members if node in old}
            assert key in before or not before or born[key] in before, "a key came from nowhere"
            assert key not in ended, "ended and alive"
        for key in set(old.values()):
            stayed = {node for node in edges if old.get(node) == key}
            alive = ClusterKey(key) in grouping.members
            heir = ended.get(ClusterKey(key))
            assert alive or ClusterKey(key) in ended
            assert stayed or not alive, "a key without its members"
            if stayed and not alive:
                assert heir is not None
                assert stayed & set(grouping.members[heir])
            if not stayed:
                assert heir is None
        old = {node: key for key, members in shape(grouping).items() for node in members}


@given(EDGES)
def test_grouping_again_changes_nothing(edges: dict[str, str]) -> None:
    first = group(edges, {})
    old = {node: key for key, members in shape(first).items() for node in members}
    assert group(edges, old) == Grouping(first.members, (), ())
