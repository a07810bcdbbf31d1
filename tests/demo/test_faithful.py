"""The demo nodes answer a recorded request as the recorded Exo did."""

import itertools
import json

import pytest

from exo_supervisor.demo import Disease, ExoNode, Generation
from tests.demo.raw import RECORDINGS, Reply, get, recorded, replayed, shape

pytestmark = pytest.mark.real_time

TINY = ("local/tiny-llama",)
COMPARED = ("content-type", "connection", "transfer-encoding", "server", "cache-control", "allow")

LEGACY = (
    "get-healthcheck", "get-topology", "get-v1-topology", "get-health", "get-not-found",
    "get-chat-get", "get-download-progress", "head-healthcheck", "embeddings", "responses",
    "completions-text", "chat-nonstream", "chat-stream", "chat-stream-string",
    "chat-stream-usage", "chat-http10-stream", "chat-known-model-wrong-engine",
    "chat-known-model-wrong-engine-stream", "chat-unknown-model-default-dummy",
    "chat-gpt-4-default-dummy", "chat-no-model", "chat-model-int", "chat-bad-json",
    "chat-empty-body", "chat-list-body", "chat-no-messages", "chat-messages-string",
    "chat-message-without-content", "chat-message-null-content", "chat-empty-messages",
    "chat-content-parts", "chat-text-plain", "chat-no-content-type", "chat-max-tokens-3",
    "chat-n-2-stop", "chat-tools", "chat-unicode", "quit",
)  # fmt: skip

IDLE = (
    "pre-bad-json", "pre-bad-role", "pre-empty-body", "pre-empty-messages", "pre-extra-field",
    "pre-list-body", "pre-max-tokens-negative", "pre-max-tokens-string",
    "pre-message-no-content", "pre-messages-string", "pre-model-int", "pre-no-messages",
    "pre-no-model", "pre-null-content", "pre-stream-bad", "pre-temperature-string",
    "pre-text-plain", "chat-no-instance", "chat-no-instance-stream", "get-ollama-ps",
    "get-instance-nope", "place-bad-sharding", "place-unknown-model",
)  # fmt: skip

READY = (
    "get-node-id", "get-feature-flags", "get-health", "get-healthcheck", "get-not-found",
    "get-v1-not-found", "get-v1-topology", "get-chat-get", "get-ollama-ps-ready",
    "head-node-id", "embeddings", "completions-legacy", "cancel-nope", "delete-instance-nope",
    "place-instance", "place-min-nodes-3", "chat-nonstream", "chat-stream", "chat-stream-usage",
    "chat-logprobs", "chat-logprobs-stream", "chat-max-tokens-1", "chat-n-2",
    "chat-sampled-seed", "chat-stop", "chat-system-and-parts", "chat-unicode",
    "chat-model-case", "chat-unknown-model", "chat-unknown-hf-model", "chat-empty-messages",
)  # fmt: skip


def node(generation: Generation, models: tuple[str, ...], tokens: int = 40) -> ExoNode:
    return ExoNode(generation, models, tokens=tokens, pace=0)


def alike(expected: Reply, got: Reply, *, runs: bool = False) -> None:
    """Compare status, headers, framing and shape; with `runs` a run of equal events is one."""
    assert got.status_line == expected.status_line
    assert set(got.headers) == set(expected.headers)
    for name in COMPARED:
        assert got.headers.get(name) == expected.headers.get(name), name
    assert got.whole == expected.whole
    if "event-stream" in expected.headers.get("content-type", ""):
        events, wanted = got.events, expected.events
        if runs:
            events = [event for event, _ in itertools.groupby(events)]
            wanted = [event for event, _ in itertools.groupby(wanted)]
        assert events == wanted
    elif expected.status >= 400 or not expected.body:
        assert got.body == expected.body
    else:
        assert (b": " in got.body) == (b": " in expected.body)
        assert shape(json.loads(got.body)) == shape(json.loads(expected.body))


@pytest.mark.parametrize("name", LEGACY)
async def test_a_answers_as_recorded(name: str) -> None:
    request, expected = recorded(f"gen-a/solo/{name}")
    async with node("A", ("dummy",), tokens=9) as exo:
        exo.node_id = "solo"
        alike(expected, await replayed(request, exo.host, exo.port))


@pytest.mark.parametrize("name", ["nodefault-chat-no-model", "nodefault-chat-unknown-model"])
async def test_a_refuses_what_its_own_default_cannot_serve(name: str) -> None:
    request, expected = recorded(f"gen-a/solo/{name}")
    async with ExoNode("A", ("dummy",), default_model="llama-3.2-1b") as exo:
        alike(expected, await replayed(request, exo.host, exo.port))


@pytest.mark.parametrize("generation", ["B", "C"])
@pytest.mark.parametrize("name", IDLE)
async def test_b_and_c_without_an_instance_answer_as_recorded(
    name: str, generation: Generation
) -> None:
    request, expected = recorded(f"gen-{generation.lower()}/solo/{name}")
    async with node(generation, ()) as exo:
        alike(expected, await replayed(request, exo.host, exo.port))


@pytest.mark.parametrize("generation", ["B", "C"])
@pytest.mark.parametrize("name", READY)
async def test_b_and_c_with_a_ready_model_answer_as_recorded(
    name: str, generation: Generation
) -> None:
    request, expected = recorded(f"gen-{generation.lower()}/solo/{name}")
    async with node(generation, TINY) as exo:
        alike(expected, await replayed(request, exo.host, exo.port))


SICK = [
    ("A", "timeout2-stream", Disease("timeout_408", after=2)),
    ("A", "timeout2-first-token-stream", Disease("timeout_408")),
    ("A", "slow-stream-kill9-api-node", Disease("cut", after=4)),
    ("A", "timeout2-nonstream", Disease("timeout_408")),
    ("A", "slow-nonstream-kill9-api-node", Disease("cut")),
    *(
        (generation, name, disease)
        for generation in ("B", "C")
        for name, disease in (
            ("stream-runner-kill9-midstream", Disease("error_event", after=6)),
            ("nonstream-runner-kill9", Disease("error_event")),
            ("stream-kill9-node-midstream", Disease("cut", after=6)),
            ("stream-instance-deleted-midstream", Disease("unfinished", after=6)),
            ("nonstream-kill9-node", Disease("cut")),
        )
    ),
    ("C", "stream-SIGTERM-node-midstream", Disease("unfinished", after=6)),
    ("B", "nonstream-instance-deleted", Disease("unfinished")),
    ("C", "nonstream-instance-deleted", Disease("unfinished", after=6)),
]


@pytest.mark.parametrize(("generation", "name", "disease"), SICK)
async def test_a_disease_answers_as_the_recorded_fault(
    generation: Generation, name: str, disease: Disease
) -> None:
    request, expected = recorded(f"gen-{generation.lower()}/solo/{name}")
    async with node(generation, ("dummy",) if generation == "A" else TINY) as exo:
        exo.disease = disease
        alike(expected, await replayed(request, exo.host, exo.port), runs=True)


STATES = [
    ("instances", "get-state-instances-ready"),
    ("runners", "get-state-runners-ready"),
    ("topology", "get-state-topology"),
    ("nodeMemory", "get-state-nodeMemory"),
    ("nodeNetwork", "get-state-nodeNetwork"),
    ("nodeIdentities", "get-state-nodeIdentities"),
    ("nope", "get-state-nope"),
]


@pytest.mark.parametrize("generation", ["B", "C"])
@pytest.mark.parametrize(("path", "name"), STATES)
async def test_a_part_of_state_has_the_recorded_shape(
    path: str, name: str, generation: Generation
) -> None:
    recording = RECORDINGS / f"gen-{generation.lower()}/solo/{name}.trimmed.json"
    async with node(generation, TINY) as exo:
        got = await replayed(get(f"/state/{path}"), exo.host, exo.port)
    assert shape(json.loads(got.body)) == shape(json.loads(recording.read_text()))


@pytest.mark.parametrize("generation", ["B", "C"])
async def test_the_whole_state_has_the_recorded_keys_in_order(generation: Generation) -> None:
    recording = RECORDINGS / f"gen-{generation.lower()}/solo/get-state-ready.trimmed.json"
    wanted = json.loads(recording.read_text())
    async with node(generation, TINY) as exo:
        reply = await replayed(get("/state"), exo.host, exo.port)
    got = json.loads(reply.body)
    assert list(got) == list(wanted)
    for name in ("instances", "runners", "lastSeen", "topology", "nodeMemory", "nodeNetwork"):
        assert shape(got[name]) == shape(wanted[name]), name
    (kinds,) = (list(downloads[0]) for downloads in got["downloads"].values())
    assert kinds == ["DownloadPending"]


async def test_a_cluster_lists_its_connections_as_recorded() -> None:
    """Each member names the others by an address at which a crawl finds them."""
    recording = RECORDINGS / "gen-c/lan3/state-topology-n1.trimmed.json"
    first = node("C", TINY)
    others = [ExoNode(cluster=first.cluster) for _ in range(2)]
    async with first, others[0], others[1]:
        reply = await replayed(get("/state/topology"), first.host, first.port)
        addresses = {member.address for member in (first, *others)}
    got = json.loads(reply.body)
    assert deep_shapes(got) == deep_shapes(json.loads(recording.read_text()))
    found = {
        f"{edge['sinkMultiaddr']['ip_address']}:{edge['sinkMultiaddr']['port']}"
        for sinks in got["connections"].values()
        for edges in sinks.values()
        for edge in edges
    }
    assert found == addresses


def deep_shapes(topology: dict[str, dict[str, dict[str, object]]]) -> set[str]:
    return {
        f"{len(topology['nodes'])} {len(sinks)} {shape(list(sinks.values()))}"
        for sinks in topology["connections"].values()
    }
