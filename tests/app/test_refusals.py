"""What a provider refuses leads on: asked anew without it, to another, or told in its own words."""

import pytest

from exo_supervisor.demo import Cloud, Disease, ExoNode, text
from tests.app.world import CLOUD_MODEL, HELLO, KEY, MODEL, World, in_process

pytestmark = pytest.mark.real_time

WORDS = 7
HOUSE = "house-cloud"


def cloud() -> Cloud:
    return Cloud(KEY, (CLOUD_MODEL,), pace=0.0, tokens=WORDS)


async def answered(world: World, *, stream: bool) -> str:
    """Ask through OpenAI's SDK and return the whole text."""
    if not stream:
        whole = await world.sdk.chat.completions.create(model=MODEL, messages=HELLO)
        return whole.choices[0].message.content or ""
    pieces = await world.sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    return "".join([piece.choices[0].delta.content or "" async for piece in pieces])


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stream_that_is_refused_is_asked_for_as_a_whole_and_never_again(
    stream: bool,  # noqa: FBT001 - a column of the table
) -> None:
    async with cloud() as provider, in_process(cloud=provider) as world:
        provider.disease = Disease("no_stream")
        assert await answered(world, stream=stream) == text(WORDS)
        assert provider.seen == 2
        assert await answered(world, stream=stream) == text(WORDS)
        assert provider.seen == 3, "it is remembered"
        assert provider.last_request is not None
        assert provider.last_request["stream"] is False
        [line] = await world.lines("attempt_failed")
        assert (line["target"], line["fault"], line["status"]) == (HOUSE, "field_refused", 400)
        assert line["message"].startswith("Your organization must be verified")


async def test_usage_that_is_refused_is_asked_for_no_more() -> None:
    async with cloud() as provider, in_process(cloud=provider) as world:
        provider.disease = Disease("no_stream_options")
        for seen in (2, 3):
            assert await answered(world, stream=True) == text(WORDS)
            assert provider.seen == seen
        assert provider.last_request is not None
        assert provider.last_request["stream"] is True
        assert "stream_options" not in provider.last_request


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_may_be_set_never_to_stream(
    stream: bool,  # noqa: FBT001 - a column of the table
) -> None:
    async with cloud() as provider:
        table = {"name": HOUSE, "base_url": provider.base_url, "key_env": "KEY", "stream": False}
        rule = {"name": MODEL, "cloud": [f"{HOUSE}/{CLOUD_MODEL}"]}
        async with in_process(provider=[table], model=[rule]) as world:
            provider.disease = Disease("no_stream")
            assert await answered(world, stream=stream) == text(WORDS)
            assert provider.seen == 1


async def test_who_failed_a_rescued_request_stands_in_the_log_and_no_key_does() -> None:
    node = ExoNode("C", pace=0.0)
    async with node, cloud() as provider, in_process(node, cloud=provider) as world:
        await world.ready()
        node.disease = Disease("status", status=503, retry_after=60)
        assert (await world.chat()).headers["x-supervisor-target"] == HOUSE
        [line] = await world.lines("attempt_failed")
        assert (line["target"], line["fault"], line["status"]) == (node.address, "busy", 503)
        [done] = await world.lines("request_done")
        assert line["request_id"] == done["request_id"]
        assert KEY.encode() not in world.log()


async def test_the_words_of_a_provider_reach_a_client_that_nobody_served() -> None:
    words = "You exceeded your current quota, please check your plan and billing details."
    async with cloud() as provider, in_process(cloud=provider) as world:
        provider.disease = Disease("status", status=429, words=words)
        answer = await world.chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_target")
        assert f"{HOUSE}: bad_key ({words})" in answer.json()["error"]["message"]
        status = await world.look("/supervisor/status")
        assert status["providers"][0]["state"] == "bad_key"


async def test_a_field_that_a_model_takes_no_more_is_left_out_once_and_said() -> None:
    async with cloud() as provider, in_process(cloud=provider) as world:
        words = "Unsupported value: 'temperature' does not support 0.2 with this model."
        provider.disease = Disease("status", status=400, words=words)
        answer = await world.chat(temperature=0.2, seed=7)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "upstream_rejected")
        assert provider.seen == 2, "once more, and no more"
        assert provider.last_request is not None
        assert "temperature" not in provider.last_request
        assert provider.last_request["seed"] == 7
        [line] = await world.lines("field_dropped")
        assert (line["target"], line["field"]) == (HOUSE, "temperature")
        provider.disease = Disease("none")
        assert (await world.chat(temperature=0.2)).status_code == 200
        assert provider.seen == 3
        assert "temperature" in provider.last_request, "it was left out in vain"
