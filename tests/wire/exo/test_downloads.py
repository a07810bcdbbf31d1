"""What nodes download is read, however old the Exo; what cannot be read says nothing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from exo_supervisor.wire.bounds import MAX_MEMBERS, MAX_MODELS
from exo_supervisor.wire.exo.downloads import (
    GIB,
    MAX_ENTRIES,
    MAX_VALUES,
    Download,
    on_disk,
    read_downloads,
)
from exo_supervisor.wire.exo.state import Placement, read_state, with_downloads

M = "org/model"


def entry(
    tag: str, model: str = M, *, card: str = "modelCard", **more: object
) -> dict[str, object]:
    shard = {"PipelineShardMetadata": {card: {"modelId": model, "nLayers": 4}, "deviceRank": 0}}
    return {tag: {"nodeId": "n1", "shardMetadata": shard, **more}}


def told(**nodes: list[dict[str, object]]) -> bytes:
    return json.dumps(nodes).encode()


def going(done: int, total: int) -> dict[str, object]:
    progress = {"downloaded": {"inBytes": done}, "total": {"inBytes": total}}
    return entry("DownloadOngoing", downloadProgress=progress)


def test_each_kind_is_read_and_what_has_not_begun_is_left_out() -> None:
    body = told(
        n1=[going(GIB, 4 * GIB), entry("DownloadPending", "other"), entry("New", "third")],
        n2=[entry("DownloadFailed", errorMessage="disk\x1b full")],
        n3=[entry("DownloadCompleted", total={"inBytes": 7})],
    )
    assert read_downloads(body) == {
        ("n1", M): Download("ongoing", GIB, 4 * GIB),
        ("n2", M): Download("failed", detail="disk  full"),
        ("n3", M): Download("completed"),
    }
    assert on_disk(read_downloads(body) or {}) == (M,)


def test_the_words_of_1_0_60_are_understood() -> None:
    progress = {"downloadedBytes": {"inBytes": 1}, "totalBytes": {"inBytes": 4}}
    old = entry("DownloadOngoing", card="modelMeta", downloadProgress=progress)
    assert read_downloads(told(n1=[old])) == {("n1", M): Download("ongoing", 1, 4)}
    assert read_downloads(told(n1=[entry("DownloadOngoing", card="unheardOf")])) == {}


@pytest.mark.parametrize(
    ("done", "total", "said"),
    [
        (GIB, 4 * GIB, "downloading 25 % (1.0 of 4.0 GiB)"),
        (9 * GIB, 4 * GIB, "downloading 100 % (4.0 of 4.0 GiB)"),
        (GIB, 0, "downloading, 1.0 GiB so far"),
        (-5, 0, "downloading, 0.0 GiB so far"),
    ],
)
def test_how_far_it_is_is_said_in_percent_and_bytes(done: int, total: int, said: str) -> None:
    found = read_downloads(told(n1=[going(done, total)]))
    assert found is not None
    assert [one.progress() for one in found.values()] == [said]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_say_nothing(body: bytes) -> None:
    read_downloads(body)


def test_a_monstrous_list_says_nothing() -> None:
    assert read_downloads(b"," * (MAX_VALUES + 1)) is None
    assert read_downloads(b"null") is None


TOO_MUCH: list[dict[str, list[dict[str, object]]]] = [
    {"n" * 257: [entry("DownloadCompleted")]},
    {"n": [entry("DownloadCompleted", "m" * 257)]},
    {f"n{n}": [] for n in range(MAX_MEMBERS + 1)},
    {"n": [entry("DownloadCompleted", f"m{n}") for n in range(MAX_MODELS + 1)]},
    {"n": [entry("DownloadPending")] * (MAX_ENTRIES + 1)},
    {"n": [{f"New{n}": {"shardMetadata": {}} for n in range(MAX_ENTRIES + 1)}]},
]


@pytest.mark.parametrize("nodes", TOO_MUCH)
def test_a_list_that_names_too_many_or_too_long_says_nothing(
    nodes: dict[str, list[dict[str, object]]],
) -> None:
    assert read_downloads(told(**nodes)) is None


def test_a_house_of_many_nodes_and_cards_is_read() -> None:
    cards = [entry("DownloadCompleted", f"m{n}") for n in range(125)]
    found = read_downloads(told(**{f"n{n}": cards for n in range(MAX_ENTRIES // 125)}))
    assert found is not None
    assert len(found) == MAX_ENTRIES


def placement(*hosts: str, status: str = "RunnerIdle", more: object = None) -> Placement:
    """Read a state with one instance, with a runner on each of some hosts."""
    runners = {f"r-{host}": host for host in hosts}
    shards: dict[str, object] = {
        "modelId": M,
        "runnerToShard": {runner: {} for runner in runners},
        "nodeToRunner": {host: runner for runner, host in runners.items()},
    }
    instances: dict[str, object] = {"i1": {"MlxRingInstance": {"shardAssignments": shards}}}
    statuses: dict[str, object] = {runner: {status: more or {}} for runner in runners}
    parts: tuple[object, ...] = (instances, statuses, {"nodes": list(hosts)}, 7)
    return read_state(*(json.dumps(part).encode() for part in parts))


def test_an_instance_says_how_far_the_slowest_of_its_downloads_is() -> None:
    body = told(n1=[going(3, 4)], n2=[going(GIB, 2 * GIB)])
    (placed,) = with_downloads(placement("n1", "n2"), body).models
    assert (placed.why, placed.progress) == ("downloading", "downloading 50 % (1.0 of 2.0 GiB)")
    assert not placed.ready


def test_one_of_which_a_download_failed_says_why_in_exos_words() -> None:
    body = told(n1=[going(3, 4)], n2=[entry("DownloadFailed", errorMessage="no space left")])
    (placed,) = with_downloads(placement("n1", "n2"), body).models
    assert (placed.why, placed.detail) == ("download_failed", "no space left")
    assert placed.instances[0].detail == "no space left"


@pytest.mark.parametrize("status", ["RunnerLoading", "RunnerReady", "RunnerWarmingUp"])
def test_one_that_loads_or_is_ready_waits_for_no_download(status: str) -> None:
    before = placement("n1", status=status)
    assert not before.waits()
    assert with_downloads(before, told(n1=[going(3, 4)])).models == before.models


def test_one_that_waits_for_no_known_download_is_as_it_was() -> None:
    before = placement("n1")
    assert before.waits()
    after = with_downloads(before, told(n1=[entry("DownloadCompleted")]))
    assert (after.models, after.downloaded) == (before.models, (M,))


@pytest.mark.parametrize(
    ("failed", "said"),
    [
        ({"errorMessage": "Terminated (signal=9)\nat once"}, "Terminated (signal=9) at once"),
        ({"errorMessage": None}, ""),
        ({"errorMessage": [1]}, ""),
    ],
)
def test_a_runner_that_failed_says_why_in_exos_words(failed: object, said: str) -> None:
    (placed,) = placement("n1", status="RunnerFailed", more=failed).models
    assert (placed.why, placed.detail, placed.ready) == ("runner_failed", said, False)


def test_one_instance_that_waits_is_enough_to_look_at_the_downloads() -> None:
    waits, loads = placement("n1").models[0], placement("n1", status="RunnerLoading").models[0]
    instances = loads.instances + waits.instances
    both = structs.replace(placement("n1"), models=(structs.replace(loads, instances=instances),))
    assert both.waits()


def test_what_one_instance_has_ready_is_ready_whatever_another_waits_for() -> None:
    waits, ready = placement("n1").models[0], placement("n1", status="RunnerReady").models[0]
    both = structs.replace(ready, instances=waits.instances + ready.instances)
    bare = structs.replace(waits, instances=())
    before = structs.replace(placement("n1"), models=(both, bare))
    after, same = with_downloads(before, told(n1=[going(3, 4)])).models
    assert (after.ready, after.why, same) == (True, both.why, bare)
    assert [each.why for each in after.instances] == ["downloading", both.why]


def test_of_a_download_nobody_knows_the_size_and_is_the_slowest_before_its_first_byte() -> None:
    for of_unknown, said in ((0, "downloading, 0.0 GiB so far"), (1, "downloading 50 %")):
        body = told(n1=[going(GIB, 2 * GIB)], n2=[going(of_unknown, 0)])
        (placed,) = with_downloads(placement("n1", "n2"), body).models
        assert placed.progress is not None
        assert placed.progress.startswith(said)
