"""What Exo previews, what of it is chosen, and what it is told."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo.placement import (
    LONGEST_ID,
    Preview,
    at_work,
    choose,
    encode_placement,
    read_instances,
    read_previews,
)

RECORDINGS = Path(__file__).parents[2] / "recordings"
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
    apart = read_instances(part, b"7")
    assert ([len(ids) for ids in apart.instances.values()], apart.index) == ([1], 7)
    assert read_instances(part, b"null").index is None
    seen = read_instances(whole)
    assert (list(seen.instances), seen.index is not None) == ([TINY], True)
    assert seen.stands(("other", TINY))
    assert not seen.stands(("other",))


def crowd(**tags: str) -> dict[str, bytes]:
    """Write a state with instances, each with one runner in a state, and one runner unknown."""
    instances: dict[str, object] = {
        one: {"MlxRingInstance": {"shardAssignments": {
            "modelId": "m", "runnerToShard": {f"r-{one}": {}, "unknown": {}},
        }}}
        for one in tags
    }  # fmt: skip
    runners: dict[str, object] = {f"r-{one}": {tag: {}} for one, tag in tags.items()}
    parts: dict[str, object] = {"instances": instances, "runners": runners}
    return {name: json.dumps(part).encode() for name, part in {**parts, "whole": parts}.items()}


def test_the_instances_at_work_are_those_of_which_a_runner_runs() -> None:
    state = crowd(i1="RunnerRunning", i2="RunnerReady")
    assert at_work(state["instances"], state["runners"]) == {"i1"}
    assert at_work(state["whole"], None) == {"i1"}


def test_a_previewed_instance_tells_its_id_where_it_has_one() -> None:
    ways, _ = previews(entry(instance={"MlxRingInstance": {"instanceId": "i7"}}), entry())
    assert [way.id for way in ways] == ["i7", None]
    assert previews(entry(instance={}))[0][0].id is None
    long = {"MlxRingInstance": {"instanceId": "i" * (LONGEST_ID + 1)}}
    assert previews(entry(instance=long))[0][0].id is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"i1":5}', b"\xff"])
def test_what_is_no_state_is_refused(body: bytes) -> None:
    for read in (lambda: read_instances(body, b"1"), lambda: at_work(body, b"{}")):
        with pytest.raises(WireError, match=r"^not a state of exo$"):
            read()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for read in (
        lambda: read_instances(body),
        lambda: read_instances(body, b"1"),
        lambda: at_work(body, None),
        lambda: at_work(body, b"{}"),
    ):
        try:
            read()
        except WireError as refused:
            assert str(refused) == "not a state of exo"  # noqa: PT017 -- reading may also succeed
