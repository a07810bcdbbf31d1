"""The drill tells a whole answer and a clear error from everything else, and sends nothing out."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from exo_supervisor.config.read import read
from exo_supervisor.config.schema import Config
from exo_supervisor.demo import Disease
from exo_supervisor.rehearse.drill.acts import kill, leave, stay
from exo_supervisor.rehearse.drill.ground import Ground, ready, set_up
from exo_supervisor.rehearse.drill.plan import LONGEST, SHORTEST, Plan, draw_up
from exo_supervisor.rehearse.drill.wall import WALL, Failure, Fault, check_privacy, face, wall
from exo_supervisor.rehearse.drill.witness import SAID, judge, take_apart
from tests.budget import EVER

USERS = """\
[discovery]
static = ["http://192.0.2.1:52415"]
manual_file = ""

[[provider]]
name = "far"
base_url = "https://far.example/v1"
key_env = "FAR_KEY"
priority = 7

[[provider]]
name = "near"
base_url = "https://near.example/v1"
first_content = 30.0

[[provider]]
name = "unused"
base_url = "https://unused.example/v1"

[[model]]
name = "house"
exo = "some/model"
cloud = ["far/x/y", "near/z"]

[[model]]
name = "secret"
exo = "some/model"
cloud = ["near/z"]
privacy = "local_only"
"""
QUICK = """\
[timeouts]
headers = 0.4
first_content = 0.4
first_content_max = 0.4
stall = 0.4
[breaker]
rest = 0.3
[routing]
patience = 0.0
"""


def users(more: str = "") -> Config:
    return read(more + USERS, file="test", environ={}).config


def fault(name: str) -> Fault:
    return next(each for each in WALL if each.name == name)


def test_timers_shrink_in_proportion_and_never_below_what_a_busy_machine_needs() -> None:
    plan = draw_up(users(), None)
    timers = plan.config.timeouts
    assert plan.scale == 30
    assert (timers.first_content, timers.first_content_max, timers.total) == (1.0, LONGEST, 30.0)
    assert (timers.connect, plan.waits.idle) == (SHORTEST, SHORTEST)
    near, far = plan.config.providers
    assert (near.name, near.first_content, far.first_content) == ("near", 1.0, 4.0)
    assert (far.connect, far.stall) == (0.5, 2.0)
    patient = draw_up(users("[timeouts]\nfirst_content_max = 3000.0\n"), None)
    assert (patient.scale, patient.config.timeouts.first_content_max) == (300, LONGEST)
    quick = draw_up(read(QUICK, file="test", environ={}).config, None).config.timeouts
    assert quick.stall == 0.4, "what is short already stays"


def test_timers_that_are_short_stay_as_they_are() -> None:
    config = read(QUICK + '[[model]]\nname = "m"\nexo = "e"\n', file="test", environ={}).config
    plan = draw_up(config, None)
    assert plan.scale == 1
    assert plan.config.timeouts.stall == 0.4


def test_nothing_of_the_users_own_addresses_is_left() -> None:
    plan = draw_up(users(), "house")
    config = plan.at("http://127.0.0.1:1", {"far": "http://127.0.0.1:2", "near": "http://x:3"})
    assert config.discovery.static == ("http://127.0.0.1:1",)
    found = config.discovery
    assert (found.broadcast, found.mdns, found.multicast, found.crawl) == ("off",) + (False,) * 3
    assert {each.base_url for each in config.providers} == {"http://127.0.0.1:2", "http://x:3"}
    assert plan.at(None, {"far": "", "near": ""}).discovery.static == ()


def test_the_model_is_the_one_that_is_named_else_the_first_else_one_made_up() -> None:
    assert draw_up(users(), None).model.name == "house"
    assert draw_up(users(), "secret").local_only
    assert not draw_up(users(), "house").local_only
    assert draw_up(users('[routing]\nprivacy = "local_only"\n'), "house").local_only
    with pytest.raises(KeyError):
        draw_up(users(), "nobody")
    made_up = draw_up(Config(), None)
    assert made_up.model.cloud == ("cloud/meta-llama/llama-3.2-3b-instruct",)
    assert "built-in" in made_up.about
    theirs = draw_up(replace(users(), models=()), None)
    assert list(theirs.cloud_ids) == ["near", "unused", "far"]


def chunk(**choice: Any) -> str:  # noqa: ANN401 - any JSON
    return f"data: {json.dumps({'choices': [choice]})}\n\n"


SAYS, STOPS = chunk(delta={"content": SAID}), chunk(delta={}, finish_reason="stop")
DONE, DIES = "data: [DONE]\n\n", 'data: {"error": {"code": "attempts_failed"}}\n\n'
PLAIN = json.dumps({"choices": [{"message": {"content": SAID}, "finish_reason": "stop"}]})
HALF = json.dumps({"choices": [{"message": {"content": SAID[:9]}, "finish_reason": "stop"}]})
OPEN = json.dumps({"choices": [{"message": {"content": SAID}, "finish_reason": None}]})


def raw(body: str, status: int = 200, *, cut: bool = False, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n{more}\r\n"
    end = "" if cut else "0\r\n\r\n"
    return f"{head}{len(body.encode()):x}\r\n{body}\r\n{end}".encode()


STREAMS = [
    (raw(SAYS + STOPS + DONE), "whole"),
    (raw(": keep-alive\n\n" + SAYS + STOPS + DONE), "whole"),
    (raw(SAYS.replace("{", '{"odd": [NaN, "\\ud83d"], ', 1) + STOPS + DONE), "whole"),
    (raw(SAYS + STOPS + "data: []\n\n" + DONE), "neither"),
    (raw(SAYS + STOPS + DONE, cut=True), "neither"),
    (raw(SAYS + STOPS), "neither"),
    (raw(SAYS + DONE), "neither"),
    (raw(STOPS + DONE), "neither"),
    (raw(SAYS + SAYS + STOPS + DONE), "neither"),
    (raw(SAYS + STOPS + "data: {\n\n" + DONE), "neither"),
    (raw(SAYS, cut=True), "neither"),
    (raw(SAYS + DIES, cut=True), "error"),
    (raw(DIES, cut=True), "error"),
    (raw(SAYS + DIES), "neither"),
    (raw(SAYS + DIES + DONE, cut=True), "neither"),
    (raw(SAYS + STOPS + DIES, cut=True), "neither"),
    (raw('{"error": {"code": "no_target"}}', 503), "error"),
    (raw('{"error": {"code": "no_target"}}', 503, cut=True), "neither"),
    (raw('{"error": {}}', 503), "neither"),
    (raw("<html>", 502), "neither"),
    (b"", "neither"),
    (b"HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\n", "neither"),
]
PLAINS = [
    (raw(PLAIN), "whole"),
    (raw(PLAIN, cut=True), "neither"),
    (raw(HALF), "neither"),
    (raw(OPEN), "neither"),
    (raw("{}"), "neither"),
    (raw(""), "neither"),
]


@pytest.mark.parametrize(("came", "kind"), STREAMS)
def test_a_stream_is_whole_or_a_clear_error_or_a_breach(came: bytes, kind: str) -> None:
    assert judge(take_apart(came), stream=True).kind == kind


@pytest.mark.parametrize(("came", "kind"), PLAINS)
def test_a_plain_answer_is_whole_or_a_breach(came: bytes, kind: str) -> None:
    assert judge(take_apart(came), stream=False).kind == kind


def test_who_answered_stands_in_the_head_or_in_a_comment() -> None:
    head = "x-supervisor-target: a:1\r\nx-supervisor-shift: busy\r\n"
    verdict = judge(take_apart(raw(SAYS + STOPS + DONE, more=head)), stream=True)
    assert (verdict.target, verdict.shift) == ("a:1", "busy")
    told = ': supervisor {"target": "b:1", "shift": null}\n\n'
    verdict = judge(take_apart(raw(told + SAYS + STOPS + DONE)), stream=True)
    assert (verdict.target, verdict.shift) == ("b:1", "")


def patient(**timers: float) -> Plan:
    """Plan the drill of a house whose timers stay as they are."""
    table = "".join(f"{name} = {seconds}\n" for name, seconds in timers.items())
    cloud = 'name = "p"\nbase_url = "https://p.example/v1"\nfirst_content = 9.0\nstall = 9.0\n'
    model = 'name = "m"\nexo = "e"\ncloud = ["p/x"]\n'
    text = f"[timeouts]\n{table}[[provider]]\n{cloud}[[model]]\n{model}"
    return draw_up(read(text, file="test", environ={}).config, None)


def silences(plan: Plan) -> dict[str, float]:
    """Name the silences of a healthy Exo that a plan is drilled with, and how long they are."""
    return {each.name: each.disease.seconds for each in wall(plan)[len(WALL) :]}


def test_a_healthy_exo_is_silent_for_longer_than_its_timers_and_never_than_the_longest() -> None:
    assert silences(draw_up(users(), None)) == {
        "long first prefill step": 1.5,
        "silence in mid-answer": 1.0,
    }
    assert silences(patient(first_content=1.0, first_content_max=1.2, stall=0.6)) == {
        "long first prefill step": pytest.approx(1.1),
        "silence in mid-answer": pytest.approx(0.9),
    }


def test_where_nobody_may_vouch_for_it_no_silence_is_drilled() -> None:
    assert silences(quick()) == {}, "first_content_max is no longer than the timers"
    assert silences(draw_up(users('[routing]\norder = ["cloud", "exo"]\n'), None)) == {}
    cloud = '[[provider]]\nname = "p"\nbase_url = "https://p.example/v1"\n'
    alone = read(f'{cloud}[[model]]\nname = "m"\ncloud = ["p/x"]\n', file="test", environ={})
    assert silences(draw_up(alone.config, None)) == {}


def test_the_readme_says_in_how_many_ways_targets_fail() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    ways = [each for each in wall(draw_up(users(), None)) if each.disease != Disease()]
    assert f"when targets fail in {len(ways)} ways" in " ".join(readme.split())


@pytest.mark.real_time
@pytest.mark.parametrize(
    "name",
    ["long first prefill step", pytest.param("silence in mid-answer", marks=pytest.mark.alone)],
)
async def test_a_silence_that_is_vouched_for_holds_and_one_that_is_not_fails_the_row(
    name: str,
) -> None:
    plan = patient(first_content=0.5, first_content_max=3.0, stall=0.5)
    (silence,) = [each for each in wall(plan) if each.name == name]
    async with set_up(plan) as ground:
        assert await faced(ground, silence) == "answered by Exo"
        endless = replace(silence, disease=replace(silence.disease, seconds=EVER))
        with pytest.raises(Failure, match="the stream was"):
            await face(ground, endless)


def quick(more: str = "", name: str = "house") -> Plan:
    return draw_up(users(QUICK + more), name)


async def faced(ground: Ground, each: Fault) -> str:
    await ready(ground)
    return await face(ground, each)


@pytest.mark.real_time
async def test_a_fault_that_costs_the_client_its_answer_fails_the_row() -> None:
    """The card is no rubber stamp: with the clouds dead too, nobody answers."""
    async with set_up(quick()) as ground:
        await ready(ground)
        for cloud in ground.clouds.values():
            cloud.disease = Disease("status", status=502)
        with pytest.raises(Failure, match="the stream was clear error attempts_failed"):
            await face(ground, fault("502"))


@pytest.mark.real_time
async def test_a_fault_that_never_struck_fails_the_row() -> None:
    async with set_up(quick()) as ground:
        healthy = Fault("made up", Disease(), "before")
        with pytest.raises(Failure, match="the stream was answered by Exo"):
            await faced(ground, healthy)


@pytest.mark.real_time
async def test_what_must_stay_and_leaves_fails_the_row() -> None:
    """The service is told that anything goes, and the drill that nothing may leave."""
    async with set_up(quick()) as ground:
        private = replace(ground.plan.model, privacy="local_only")
        strict = replace(ground, plan=replace(ground.plan, model=private))
        await ready(ground)
        check_privacy(strict)
        with pytest.raises(Failure, match="answered by near"):
            await face(strict, fault("502"))
        with pytest.raises(Failure, match="reached a cloud"):
            check_privacy(strict)


@pytest.mark.real_time
async def test_a_local_only_model_never_reaches_a_cloud() -> None:
    async with set_up(quick(name="secret")) as ground:
        assert await faced(ground, fault("502")) == "clear error attempts_failed"
        assert (await stay(ground)).endswith("no cloud was asked")
        assert ground.left_house == 0


@pytest.mark.real_time
async def test_a_cloud_that_comes_first_is_the_one_that_fails() -> None:
    async with set_up(quick('order = ["cloud", "exo"]\n')) as ground:
        assert await faced(ground, fault("500")) == "answered by far, attempt_failed"
        assert ground.clouds["near"].seen > 1


@pytest.mark.real_time
async def test_an_exo_that_dies_of_a_request_fails_the_row() -> None:
    async with set_up(quick()) as ground:
        await ready(ground)
        assert await kill(ground) == "Exo lives; 6 answered, 0 clear errors"
        assert ground.node is not None
        (one,) = ground.node.cluster.standing()
        ground.node.cluster.crash(one)
        with pytest.raises(Failure, match="seed: Exo died of it"):
            await kill(ground)


@pytest.mark.real_time
async def test_a_target_that_does_not_hear_of_its_client_leaving_fails_the_row() -> None:
    async with set_up(quick()) as ground:
        await ready(ground)
        assert "upstream closed in" in await leave(ground, within=EVER)
        with pytest.raises(Failure, match="was not closed"):
            await leave(ground, within=-1.0)
