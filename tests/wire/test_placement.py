"""What Exo previews, what of it is chosen, and what it is told."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.wire.faults import WireError
from exo_supervisor.wire.placement import (
    Preview,
    choose,
    encode_placement,
    read_previews,
    standing,
)

RECORDINGS = Path(__file__).parent.parent / "recordings"
TINY = "local/tiny-llama"


def body_of(name: str) -> bytes:
    return (RECORDINGS / f"{name}.response.http").read_bytes().partition(b"\r\n\r\n")[2]


def entry(
    nodes: int = 1,
    sharding: str = "Pipeline",
    meta: str = "MlxRing",
    error: str | None = None,
    instance: object = "i",
) -> dict[str, object]:
    return {
        "model_id": "m",
        "sharding": sharding,
        "instance_meta": meta,
        "instance": None if error else instance,
        "memory_delta_by_node": None if error else {f"n{number}": 1 for number in range(nodes)},
        "error": error,
    }


def previews(*entries: dict[str, object]) -> tuple[list[Preview], str]:
    return read_previews(json.dumps({"previews": entries}).encode())


@pytest.mark.parametrize("generation", ["gen-b", "gen-c"])
def test_the_recorded_previews_name_one_way_that_exo_prefers(generation: str) -> None:
    ways, why = read_previews(body_of(f"{generation}/solo/get-previews"))
    best = choose(ways)
    assert (best.nodes, best.plain) == (1, True)
    assert why
    sent = json.loads(encode_placement(best))
    shards = sent["instance"]["MlxRingInstance"]["shardAssignments"]
    assert shards["modelId"] == TINY


def test_the_instance_goes_back_as_it_came() -> None:
    ways, _ = previews(entry(instance={"z": 1.0, "a": ["\u00e9", True]}))
    assert json.loads(encode_placement(ways[0])) == {
        "instance": {"z": 1.0, "a": ["\u00e9", True]},
    }


def test_the_fewest_hosts_come_first_then_what_exo_prefers() -> None:
    ways, _ = previews(entry(2), entry(1, "Tensor", "MlxJaccl", None, "t"), entry(1), entry(3))
    assert choose(ways) == ways[2]
    assert choose(ways[:2]) == ways[1]


def test_why_nothing_fits() -> None:
    other, own = entry(error="no ring", sharding="Tensor"), entry(error="no memory")
    assert previews(other, own) == ([], "no memory")
    assert previews(other) == ([], "no ring")
    assert previews() == ([], "exo knows no way to place it")
    assert previews(entry(error="a\x1b[2Jb\u2028" + "x" * 500))[1] == "a?[2Jb?" + "x" * 193


def test_an_entry_without_instance_is_no_way() -> None:
    assert previews({"error": None, "instance": None}) == ([], "exo knows no way to place it")
    assert previews({}) == ([], "exo knows no way to place it")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"previews":{}}', b'{"previews":[1]}', b"\xff"])
def test_what_is_no_list_of_previews_is_refused(body: bytes) -> None:
    with pytest.raises(WireError, match="previews"):
        read_previews(body)


@pytest.mark.parametrize("generation", ["gen-b", "gen-c"])
def test_what_stands_is_read_from_a_part_or_from_the_whole(generation: str) -> None:
    solo = RECORDINGS / generation / "solo"
    part = (solo / "get-state-instances-ready.trimmed.json").read_bytes()
    whole = (solo / "get-state-ready.trimmed.json").read_bytes()
    assert [len(ids) for ids in standing(part, whole=False).values()] == [1]
    assert list(standing(whole, whole=True)) == [TINY]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for whole in (True, False):
        try:
            standing(body, whole=whole)
        except WireError as refused:
            assert str(refused) == "not a state of exo"  # noqa: PT017 -- reading may also succeed
