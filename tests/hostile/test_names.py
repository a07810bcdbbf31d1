"""What strangers name is short, and nothing that we hand out is many times what came in."""

import json

import pytest

from exo_supervisor.core.fleet.model_facts import NO_FACTS
from exo_supervisor.core.outcomes import BadRequestError
from exo_supervisor.wire.bounds import MAX_NAME_CHARS
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo import identity as exo
from exo_supervisor.wire.exo import legacy, placement, state
from exo_supervisor.wire.openai import outbound as providers
from exo_supervisor.wire.openai.inbound import read_chat
from tests.wire.reading import gathered, streamed

MOST_TIMES = 32
"""An envelope of ours around an event of a few bytes; it is bounded, whatever is in the event."""
LONG = "x" * (MAX_NAME_CHARS + 1)
HUGE = "x" * 2**20


def event(data: object) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


@pytest.mark.parametrize(
    "first",
    [
        {"model": HUGE},
        {"id": HUGE},
        {"model": "\x00" * MAX_NAME_CHARS},
        {"model": "é" * MAX_NAME_CHARS},
        {"system_fingerprint": HUGE},
        {"citations": [HUGE], HUGE: HUGE},
        {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "x": HUGE}},
    ],
    ids=["model", "id", "escaped", "wide", "fingerprint", "beside", "usage"],
)
def test_an_answer_is_not_many_times_what_came_in(first: dict[str, object]) -> None:
    """A name of a megabyte in the first event, and then small events that each repeat it."""
    reading, small = streamed(usage=True), event({"choices": [{"delta": {"content": "a"}}]})
    stream = event({"choices": [{"delta": {"content": "a"}}]} | first) + small * 400
    told = reading.feed(stream + event({"choices": [{"finish_reason": "stop"}]}))
    assert reading.fault is None
    assert len(told) <= MOST_TIMES * len(small) * 400 + 2 * len(stream)


def test_choices_without_a_word_are_not_spread_over_events() -> None:
    reading = streamed(usage=True)
    reading.feed(event({"choices": [{"delta": {"content": "a"}}]}))
    empty = b'data: {"choices":[' + b"{}," * 127 + b"{}]}\n\n"
    told = reading.feed(empty * 50)
    assert len(told) <= MOST_TIMES * len(empty) * 50


def test_a_gathered_answer_is_not_many_times_what_came_in() -> None:
    reading = gathered()
    piece = {"function": {"name": "f", "arguments": "{"}}
    stream = event({"model": HUGE, "choices": [{"delta": {"tool_calls": [piece] * 1000}}]})
    stream += event({"choices": [{"index": n, "finish_reason": "stop"} for n in range(1, 128)]})
    reading.feed(stream + event({"choices": [{"finish_reason": "stop"}]}) + b"data: [DONE]\n\n")
    assert reading.fault is None
    assert sum(map(len, reading.result())) <= 2 * len(stream)


INSTANCE: dict[str, object] = {
    "x": {"shardAssignments": {"modelId": "m", "runnerToShard": {"r": 1}}}
}
NODES = b'{"nodes":[]}'


@pytest.mark.parametrize("name", [LONG, HUGE], ids=["long", "huge"])
def test_a_name_beyond_the_bound_comes_in_nowhere(name: str) -> None:
    def write(value: object) -> bytes:
        return json.dumps(value).replace("NAME", name).encode()

    named = json.loads(json.dumps(INSTANCE).replace('"m"', '"NAME"'))
    runner = json.loads(json.dumps(INSTANCE).replace('"r"', '"NAME"'))
    for refused in (
        lambda: state.read_state(write({"NAME": INSTANCE}), b"{}", NODES, b"1"),
        lambda: state.read_state(write({"i": named}), b"{}", NODES, b"1"),
        lambda: state.read_state(write({"i": runner}), b"{}", NODES, b"1"),
        lambda: state.read_state(b"{}", write({"NAME": {"RunnerShutdown": {}}}), NODES, b"1"),
        lambda: state.read_state(b"{}", b"{}", write({"nodes": ["NAME"]}), b"1"),
        lambda: placement.read_instances(write({"NAME": INSTANCE}), b"1"),
        lambda: exo.read_cards(write({"data": [{"id": "NAME"}]})),
        lambda: legacy.read_models_a(write({"NAME": 1})),
        lambda: legacy.read_topology_a(write({"nodes": {"NAME": 1}})),
    ):
        with pytest.raises(WireError):
            refused()
    assert providers.read_models(write({"data": [{"id": "NAME"}, {"id": "b"}, "NAME"]})) == {
        "b": NO_FACTS
    }


def test_a_client_names_no_model_beyond_the_bound() -> None:
    body = json.dumps({"model": LONG, "messages": [{"role": "user", "content": "x"}]})
    with pytest.raises(BadRequestError, match="256 characters") as refused:
        read_chat(body.encode())
    assert (refused.value.refusal.code, refused.value.refusal.param) == ("wrong_type", "model")
