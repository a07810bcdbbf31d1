"""An inspection sees what it may, within its bound, and nothing is left of it."""

import gc
import json
import weakref
from math import inf
from typing import Any

import anyio
import pytest
from msgspec import structs

from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import ModelId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import DEFAULT_CLIENT, ClientRule, ModelRule, Policy
from exo_supervisor.serve.control.inspecting import show
from exo_supervisor.serve.inspector import (
    Inspection,
    InspectionRunsError,
    Inspector,
)
from exo_supervisor.serve.timers import SLOW_CLIENT
from exo_supervisor.wire.openai.stream_writer import DONE
from tests.serve.test_attempt import STOP, text
from tests.serve.virtual import HELLO, JSON, RESET, SSE, Browser, House, refusal, start

ROOT, OTHER = 0, 1000
M = ModelId("m")
OPEN = Policy(models=(ModelRule("m", exo=(M,)),))
PRIVATE = {"x-supervisor-privacy": "local_only"}
KEY = "sk-proj-AbCdEfGh0123456789"


def a_house(policy: Policy = OPEN, *, asker: int = OTHER, most: int = 9, client: str = "") -> House:
    """Make a house of which somebody sees the next requests; each is answered `Hi` by a node."""
    house = House(*[start] * 40)
    house.target.steps = [[(0.0, (200, SSE)), (0.0, text("Hi") + STOP + DONE)] for _ in range(40)]
    inspector = Inspector(Machine(policy, 0.0).catalog)
    inspector.begin(Inspection(asker, client or None, most, 0.0))
    house.ingress = structs.replace(house.ingress, inspector=inspector)
    return house


def inspected(house: House) -> Inspection:
    runs = house.ingress.inspector.inspection
    assert runs is not None
    return runs


def seen(house: House) -> list[dict[str, Any]]:
    """Take what is over, as it is shown."""
    house.loop.run(1.0)
    runs, found = inspected(house), list[dict[str, Any]]()

    async def take() -> None:
        with anyio.move_on_after(0.01):
            while (tap := await runs.next()) is not None:
                line = show(tap, house.ingress.inspector.hide)
                runs.keep(tap, line)
                found.append(json.loads(line))

    anyio.run(take)
    return found


def test_a_request_is_seen_from_all_sides() -> None:
    house = a_house()
    client = house.chat(headers={"user-agent": "curl/8"})
    (request,) = seen(house)
    assert json.loads(request["asked"]["body"]["text"])["messages"] == HELLO
    assert (request["asked"]["path"], request["asked"]["headers"]) == (
        "/v1/chat/completions",
        {"user-agent": "curl/8"},
    )
    (sent,) = request["sent"]
    assert sent["target"] == "n:1"
    assert sent["body"]["text"].encode() == house.target.calls[0].body
    answer = request["answer"]
    assert answer["body"]["text"].encode() == client.body
    assert answer["body"]["bytes"] == len(client.body)
    assert answer["start"] == "HTTP/1.1 200"
    assert answer["headers"]["x-supervisor-target"] == "n:1"
    assert request["line"]["outcome"] == "success"
    assert request["local_only"] is False
    house.check_empty()


def test_each_attempt_and_a_refusal_are_seen() -> None:
    house = a_house()
    house.orders = [start, lambda request: start(request, 2), refusal]
    house.target.steps = [[(0.0, RESET)], [(0.0, RESET)]]
    client = house.chat(stream=False)
    (request,) = seen(house)
    assert [each["target"] for each in request["sent"]] == ["n:1", "n:2"]
    assert request["answer"]["body"]["text"].encode() == client.body
    assert "attempts_failed" in request["answer"]["body"]["text"]
    assert request["line"]["code"] == "attempts_failed"


def test_a_cut_answer_is_seen_as_its_client_got_it() -> None:
    house = a_house()
    house.orders = [start]
    house.target.steps = [[(0.0, (200, SSE)), (0.0, text("Hi")), (1.0, RESET)]]
    client = house.chat()
    house.loop.run(2.0)
    (request,) = seen(house)
    assert request["answer"]["body"]["text"].encode() == client.body
    assert request["answer"]["body"]["pieces"] == 2
    assert client.end == "cut"


def test_a_client_that_reads_nothing_is_gone_after_a_while_though_it_is_seen() -> None:
    house = a_house()
    house.target.steps = [[(0.0, (200, SSE)), (0.0, text("Hi"))]]
    house.chat(blocks={0: inf})
    house.loop.run(SLOW_CLIENT + 2.0)
    first = next(house.settled(), None)
    assert first is not None
    assert first.failure.fault is Fault.CLIENT_LEFT


def test_an_answer_in_one_piece_is_seen() -> None:
    house = a_house()
    whole = b'{"choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}]}'
    house.target.steps = [[(0.0, (200, JSON)), (0.0, whole), (0.0, b"")]]
    client = house.chat(stream=False)
    (request,) = seen(house)
    assert request["answer"]["body"]["text"].encode() == client.body != b""


def test_one_that_left_is_seen_as_far_as_it_came() -> None:
    house = a_house()
    house.target.steps = [[(0.0, (200, SSE)), (0.0, text("Hi"))]]
    client = house.chat()
    house.loop.run(0.5)
    assert client.handler is not None
    client.handler.gone()
    (request,) = seen(house)
    assert request["line"]["outcome"] == "abandoned"
    assert "Hi" in request["answer"]["body"]["text"]


RULES: dict[str, tuple[Policy, dict[str, str], ClientRule]] = {
    "header": (OPEN, PRIVATE, DEFAULT_CLIENT),
    "client": (OPEN, {}, ClientRule("kids", local_only=True)),
    "model": (Policy(models=(ModelRule("m", exo=(M,), local_only=True),)), {}, DEFAULT_CLIENT),
    "alias": (
        Policy(models=(ModelRule("n", exo=(M,), aliases=("m",), local_only=True),)),
        {},
        DEFAULT_CLIENT,
    ),
    "pattern": (Policy(models=(ModelRule("*", exo=(M,), local_only=True),)), {}, DEFAULT_CLIENT),
    "on the way": (
        Policy(
            models=(
                ModelRule("m", exo=(M,), fallback=("n",)),
                ModelRule("n", exo=(M,), local_only=True),
            )
        ),
        {},
        DEFAULT_CLIENT,
    ),
    "house": (structs.replace(OPEN, local_only=True), {}, DEFAULT_CLIENT),
    "nobody knows it yet": (Policy(), {}, DEFAULT_CLIENT),
}


@pytest.mark.parametrize(("policy", "headers", "rule"), RULES.values(), ids=RULES)
def test_what_must_stay_is_seen_by_root_alone(
    policy: Policy, headers: dict[str, str], rule: ClientRule
) -> None:
    for asker in (ROOT, OTHER):
        house = a_house(policy, asker=asker)
        house.rule = rule
        client = house.chat(headers=headers)
        found = seen(house)
        assert client.end == "whole"
        assert [each["local_only"] for each in found] == ([True] if asker == ROOT else [])
        runs = inspected(house)
        assert (len(runs.kept(ROOT)), runs.passed) == ((1, 0) if asker == ROOT else (0, 1))
        assert not runs.kept(OTHER), "what root keeps is for root's eyes"
        assert asker == ROOT or not runs.used


def test_what_must_stay_by_a_rule_that_came_meanwhile_is_not_seen() -> None:
    house = a_house()
    house.target.steps = [[(0.0, (200, SSE)), (5.0, text("Hi") + STOP + DONE)]]
    house.chat()
    assert inspected(house).used
    catalog = house.ingress.inspector.catalog
    assert catalog is not None
    catalog.follow(structs.replace(OPEN, local_only=True))
    house.loop.run(6.0)
    assert not seen(house)
    assert (inspected(house).passed, inspected(house).used) == (1, 0)


def test_only_the_asked_client_is_seen_and_only_so_many() -> None:
    house = a_house(most=2, client="kids")
    for name in ("office", "kids", "kids", "kids"):
        house.rule = ClientRule(name)
        house.chat()
    house.loop.run(1.0)
    runs = inspected(house)
    assert [each["line"]["client"] for each in seen(house)] == ["kids", "kids"]
    assert runs.why == "requests"


def test_a_request_in_flight_is_waited_for() -> None:
    house = a_house(most=1)
    house.target.steps = [[(0.0, (200, SSE)), (5.0, text("Hi") + STOP + DONE)]]
    house.chat()
    assert not seen(house)
    assert not inspected(house).why
    house.loop.run(6.0)
    assert len(seen(house)) == 1


@pytest.mark.parametrize("when", ["running", "over", "shown"])
def test_at_its_end_nothing_is_left(when: str) -> None:
    """Neither of what was shown nor of a request that goes on."""
    house = a_house()
    if when == "running":
        house.target.steps = [[(0.0, (200, SSE)), (0.0, text("Hi")), (5.0, STOP + DONE)]]
    client = house.chat(messages=[{"role": "user", "content": "w" * 5000}])
    tap = house.exchange(client).tap
    house.loop.run(1.0)
    runs = inspected(house)
    assert runs.used > 5000
    assert tap is not None
    bodies = [tap.asked, *(each.body for each in tap.sent), tap.answer]
    gone = [weakref.ref(body) for body in bodies]
    assert len(gone) == 3
    if when == "shown":
        seen(house)
        assert runs.kept(ROOT)
    house.ingress.inspector.end("ordered")
    del bodies
    gc.collect()
    assert [each() for each in gone] == [None] * len(gone)
    assert house.ingress.inspector.inspection is None
    assert (runs.used, runs.kept(ROOT), runs.why) == (0, [], "ordered")
    house.loop.run(10.0)
    assert client.end == "whole", "its client notices nothing"
    assert not tap.answer.parts
    assert not runs.used
    house.check_empty()


def test_the_room_is_taken_to_its_last_byte_and_no_further() -> None:
    inspection = Inspection(OTHER, None, 9, 0.0, max_bytes=10)
    assert [inspection.make_room(size) for size in (6, 5, 4, 1)] == [True, False, True, False]
    assert inspection.used == 10


def test_a_long_body_is_cut_and_all_of_them_keep_to_their_bound() -> None:
    house, most, body = a_house(), 65_536, 2_048
    inspector = house.ingress.inspector
    inspector.end("ordered")
    inspector.begin(Inspection(OTHER, None, 99, 0.0, max_bytes=most, max_body_bytes=body))
    runs, long = inspected(house), [{"role": "user", "content": "w" * 9_000}]

    def ask(times: int) -> None:
        for _ in range(times):
            house.chat(messages=long)
            house.loop.run(0.5)
            assert runs.used <= most

    ask(20)
    first, *_ = found = seen(house)
    shown = first["asked"]["body"]
    assert (len(shown["text"]), shown["cut"]) == (body, True)
    assert shown["bytes"] > 9_000
    assert len(found) + runs.dropped == 20
    assert runs.dropped > 0
    kept = runs.kept(ROOT)
    ask(9)
    assert kept[0] not in runs.kept(ROOT), "what was shown makes room"
    inspector.end("ordered")
    house.check_empty()


@pytest.mark.parametrize("where", ["body", "header", "authorization", "path"])
def test_no_key_is_shown(where: str) -> None:
    house = a_house()
    browser = Browser(house.loop)
    said = HELLO if where != "body" else [{"role": "user", "content": f"it is {KEY}"}]
    headers = {"body": {}, "path": {}, "header": {"x-note": KEY}}.get(where, {where: KEY})
    head = {"model": "m", "messages": said, "stream": True}
    house.enter(browser, json.dumps(head).encode(), headers)
    runs = inspected(house)
    tap = house.exchange(browser).tap
    assert tap is not None
    if where == "path":
        tap.target = f"/v1/chat/completions?key={KEY}".encode()
    (shown,) = seen(house)
    assert KEY not in json.dumps(shown)
    assert KEY.encode() not in b"".join(runs.kept(ROOT))


def test_there_is_one_at_a_time() -> None:
    inspector = Inspector(Machine(OPEN, 0.0).catalog)
    inspector.begin(Inspection(OTHER, None, 9, 0.0))
    with pytest.raises(InspectionRunsError):
        inspector.begin(Inspection(ROOT, None, 9, 0.0))
    inspector.end("ordered")
    inspector.end("ordered")
    inspector.begin(Inspection(ROOT, None, 9, 0.0))


def test_without_one_a_request_has_no_tap() -> None:
    house = a_house()
    house.ingress.inspector.end("ordered")
    client = house.chat()
    assert house.exchange(client).tap is None
    house.loop.run(1.0)
    house.check_empty()
