"""No answer of a stranger, of whatever size and shape, holds the loop for a tenth of a second."""

import json
from collections.abc import Callable

import pytest

from exo_supervisor.core.events import NodeSighted, PlacementRead, ProbeAnswered
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, ModelId, NodeId
from exo_supervisor.core.near_names import near
from exo_supervisor.core.policy import Policy
from exo_supervisor.wire.bounds import MAX_MODELS, MAX_PART_COMMAS
from exo_supervisor.wire.exo import addresses, capacity, legacy, placement, state
from exo_supervisor.wire.exo import identity as exo
from exo_supervisor.wire.openai import outbound as providers
from exo_supervisor.wire.openai.inbound import read_chat
from tests.hostile.weight import weigh
from tests.wire.reading import body_gathered, gathered, read_body, streamed

pytestmark = pytest.mark.alone  # every parser by every bad shape: half a minute of counting

Parse = Callable[[bytes], object]
NAMED = (NodeId("12D3KooW"),)
NOTHING = state.read_state(b"{}", b"{}", b'{"nodes":[]}', b"1")

PARSERS: dict[str, Parse] = {
    "instances": lambda b: state.read_state(b, b"{}", b'{"nodes":[]}', b"1"),
    "runners": lambda b: state.read_state(b"{}", b, b'{"nodes":[]}', b"1"),
    "topology": lambda b: state.read_state(b"{}", b"{}", b, b"1"),
    "downloads": lambda b: state.with_downloads(NOTHING, b),
    "index": lambda b: state.read_state(b"{}", b"{}", b'{"nodes":[]}', b),
    "last_seen": lambda b: state.read_state(b"{}", b"{}", b'{"nodes":[]}', b"1", b),
    "state": state.read_full_state,
    "standing": lambda b: placement.read_instances(b, b"1"),
    "standing_whole": placement.read_instances,
    "at_work": lambda b: placement.at_work(b, b"{}"),
    "previews": placement.read_previews,
    "machines": lambda b: capacity.read_machines(NAMED, b, b, b),
    "full_machines": lambda b: capacity.read_full_machines(NAMED, b),
    "machine_a": capacity.read_machine_a,
    "network": lambda b: addresses.read_addresses(b, b"{}"),
    "edges": lambda b: addresses.read_addresses(b"{}", b),
    "state_addresses": addresses.read_state_addresses,
    "cards": exo.read_cards,
    "topology_a": legacy.read_topology_a,
    "models_a": legacy.read_models_a,
    "manual": legacy.read_manual_peers,
    "datagram": legacy.read_discovery_datagram,
    "provider": providers.read_models,
    "whole": lambda b: read_body(b, body_gathered()),
    "event": lambda b: gathered().feed(b"data: " + b + b"\n\n"),
    "event_to_a_stream": lambda b: streamed().feed(b"data: " + b + b"\n\n"),
}

READERS = {"whole", "event", "event_to_a_stream"}


def named(count: int, value: str = "{}") -> str:
    return ",".join(f'"n{n}":{value}' for n in range(count))


INSTANCE = '{"t":{"shardAssignments":{"modelId":"m"}}}'
WITH_INTERFACE = '{"interfaces":[{}]}'
WITH_ADDRESS = '{"address":""}'
DOWNLOAD = '{"DownloadCompleted":{"shardMetadata":{"x":{"modelCard":{"modelId":"m"}}}}}'
EIGHT = f"[{','.join([DOWNLOAD] * 8)}]"
STATES: dict[str, str] = {
    "names": f"{{{named(100_000)}}}",
    "named_in_nodes": f'{{"nodes":{{{named(100_000)}}}}}',
    "nodes": '{"nodes":["x"' + ',"x"' * 250_000 + "]}",
    "state": f'{{"instances":{{{named(25_000, INSTANCE)}}},"runners":{{}},"topology":{{}}}}',
    "instances": f"{{{named(25_000, INSTANCE)}}}",
    "edges": '{"connections":{"a":{' + named(30_000, '[{"sinkMultiaddr":{}}]') + "}}}",
    "networks": f"{{{named(40_000, WITH_INTERFACE)}}}",
    "downloads": f'{{"n":[{",".join([DOWNLOAD] * 24_900)}]}}',
    "downloads_in_one": f'{{"n":[{{{named(24_900, DOWNLOAD[21:-1])}}}]}}',
    "downloads_of_many": f"{{{named(1_000, EIGHT)}}}",
    "shards": f'{{"n":[{{"t":{{"shardMetadata":{{{named(74_000)}}}}}}}]}}',
    "zeros": "[" + "0," * 500_000 + "0]",
    "cards": '{"data":[' + '{"id":"x"},' * 100_000 + '{"id":"x"}]}',
    "previews": '{"previews":[' + "{}," * 300_000 + "{}]}",
    "peers": f'{{"peers":{{{named(50_000, WITH_ADDRESS)}}}}}',
    "deep": "[" * 1_000_000,
}
CHATS: dict[str, str] = {
    "names": f'{{"choices":[],{named(100_000)}}}',
    "choices": '{"choices":[' + "{}," * 400_000 + "{}]}",
    "words": '{"choices":[' + '{"delta":{"content":"x"}},' * 40_000 + "{}]}",
    "calls": '{"choices":[{"delta":{"tool_calls":[' + '{"id":"x"},' * 100_000 + "{}]}}]}",
    "content": '{"choices":[{"delta":{"content":[' + "0," * 500_000 + "0]}}]}",
    "message": '{"choices":[{"message":{"content":[' + "0," * 500_000 + "0]}}]}",
    "id": '{"choices":[{"delta":{"content":"x"}}],"id":[' + "0," * 500_000 + "0]}",
    "error": '{"error":{"message":[' + "0," * 500_000 + "0]}}",
    "usage": '{"choices":[],"usage":[' + "0," * 500_000 + "0]}",
    "nearly_json": '{"choices":[' + "NaN," * 100_000 + "0]}",
    "not_json": '{"choices":[' + "{}," * 300_000 + "}",
    "deep": '{"choices":' + "[" * 1_000_000,
}
"""What costs many times its bytes to decode, a megabyte of each."""
CELLS = [
    pytest.param(parse, shape, id=f"{parser}-{name}")
    for parser, parse in PARSERS.items()
    for name, shape in (CHATS if parser in READERS else STATES).items()
]


@pytest.mark.parametrize(("parse", "shape"), CELLS)
def test_an_answer_of_any_shape_is_light_work(parse: Parse, shape: str) -> None:
    body = shape.encode()
    weight = weigh(lambda: parse(body))
    assert weight.light, weight


def test_as_many_names_as_a_house_can_have_are_read() -> None:
    """A bound that refused what is real would be no bound, but a fault."""
    names = json.dumps({f"org/model-{n}": {} for n in range(MAX_MODELS)}).encode()
    assert len(legacy.read_models_a(names)) == MAX_MODELS
    instance = {
        "x": {"shardAssignments": {"modelId": "m", "runnerToShard": {"r": {"n": [1] * 40}}}}
    }
    instances = json.dumps({f"i{n}": instance for n in range(MAX_MODELS)}).encode()
    assert instances.count(b",") < MAX_PART_COMMAS
    assert state.read_state(instances, b"{}", b'{"nodes":[]}', b"1").runners == 1
    listed = json.dumps({"data": [{"id": f"m{n}", "pricing": {"x": n}} for n in range(4_000)]})
    assert len(providers.read_models(listed.encode())) == 4_000


ASKED = '{"model":"m","messages":[{"role":"user","content":"x"}'
REQUESTS: dict[str, str] = {
    "messages": ASKED + ',{"role":"user","content":"x"}' * 300_000 + "]}",
    "empty": ASKED + ",{}" * 3_000_000 + "]}",
    "numbers": ASKED + '],"x":[0' + ",0" * 3_000_000 + "]}",
    "names": f"{ASKED}],{named(400_000, '0')}}}",
    "texts": ASKED + '],"x":[""' + ',""' * 2_000_000 + "]}",
    "commas_in_texts_too": ASKED + r',{"content":"a,\",{},\\"}' * 300_000 + "]}",
}
"""What costs many times its bytes to read, some megabytes of each."""


@pytest.mark.parametrize("body", REQUESTS.values(), ids=REQUESTS)
def test_a_request_of_any_shape_is_light_work(body: str) -> None:
    data = body.encode()
    assert len(data) <= 32 * 2**20
    weight = weigh(lambda: read_chat(data))
    assert weight.light, weight


ADDRESSES = [Address(f"10.0.{n // 250}.{n % 250}:52415") for n in range(40)]


def neighbourhood() -> Machine:
    """Make a house in which forty strangers each name as many models as they may."""
    machine = Machine(Policy(), 0.0)
    for n, address in enumerate(ADDRESSES):
        machine.handle(NodeSighted(node=address, url=f"http://{address}", source="x"), 0.0)
        told = ProbeAnswered(node=address, generation="A", node_id=NodeId(f"id{n}"), latency=0.1,
                             state_paths=False)  # fmt: skip
        machine.handle(told, 1.0)
        machine.handle(reading(address, ready=True), 2.0)
    return machine


def reading(address: Address, *, ready: bool, prefix: str = "m") -> PlacementRead:
    models = tuple(Placed(ModelId(f"{prefix}{n}"), ready, "") for n in range(MAX_MODELS))
    listed = (NodeId(f"id{ADDRESSES.index(address)}"),)
    return PlacementRead(node=address, listed=listed, models=models)


def test_a_reading_is_light_work_however_many_neighbours_there_are() -> None:
    machine = neighbourhood()
    for told in (reading(ADDRESSES[0], ready=False), reading(ADDRESSES[1], ready=True, prefix="x")):
        assert (weight := weigh(lambda told=told: machine.handle(told, 9.0))).light, weight


@pytest.mark.parametrize("name", ["a" * 100, "ab" * 50, "zzz"])
def test_a_search_for_near_names_is_light_work(name: str) -> None:
    known = [f"{'a' * 95}{n}" for n in range(5_000)]
    weight = weigh(lambda: near(name, known))
    assert weight.light, weight
