"""A provider that speaks Messages, behind clients of either dialect."""

from typing import Any, cast

import openai
import pytest

from exo_supervisor.demo import Cloud, Disease, ExoNode, MessagesCloud, text
from tests.app.clients.sdks import anthropics
from tests.app.clients.test_chat import TOOLS, streamed_call
from tests.app.clients.test_messages import asking, streamed
from tests.app.world import CLOUD_MODEL, HELLO, KEY, MODEL, in_process

pytestmark = pytest.mark.real_time

CLOUD_ALONE = [{"name": MODEL, "cloud": [f"house-cloud/{CLOUD_MODEL}"]}]
SEARCH: Any = {"type": "web_search_20250305", "name": "web_search"}


def provider(pace: float = 0.0) -> MessagesCloud:
    return MessagesCloud(KEY, (CLOUD_MODEL,), pace=pace)


async def test_an_openai_client_reads_a_whole_answer_and_a_stream() -> None:
    cloud = provider()
    async with cloud, in_process(cloud=cloud) as world:
        await world.ready(0)
        create = world.sdk.chat.completions.create
        talk: list[Any] = [{"role": "system", "content": "be brief"}, *HELLO]
        whole = await create(model=MODEL, messages=talk)
        assert whole.choices[0].message.content == text(12)
        assert (whole.choices[0].finish_reason, whole.model) == ("stop", CLOUD_MODEL)
        assert whole.usage is not None
        assert whole.usage.completion_tokens == 12
        asked = cloud.last_request
        assert asked is not None
        assert asked["system"] == [{"type": "text", "text": "be brief"}]
        assert (asked["stream"], asked["max_tokens"] > 0) == (True, True)
        stream = await create(
            model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        said = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
        assert "".join(filter(None, said)) == text(12)
        assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == [12]


async def test_an_openai_client_s_tools_and_images_pass() -> None:
    cloud = provider()
    async with cloud, in_process(cloud=cloud) as world:
        await world.ready(0)
        create = world.sdk.chat.completions.create
        assert await streamed_call(world, "cloud") == ("weather", '{"city": "Paris"}')
        whole = await create(model=MODEL, messages=HELLO, tools=TOOLS)
        (call,) = whole.choices[0].message.tool_calls or []
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
        talk: list[Any] = [
            {"role": "user", "content": [image, {"type": "text", "text": "where?"}]},
            {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]},
            {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"},
        ]
        told = await create(model=MODEL, messages=talk, tools=TOOLS)
        assert told.choices[0].message.content == text(12)
        asked = cloud.last_request
        assert asked is not None
        shown, used, result = (turn["content"][0] for turn in asked["messages"])
        assert shown["source"] == {"type": "base64", "media_type": "image/png", "data": "aGk="}
        assert (used["id"], used["input"]) == (call.id, {"city": "Paris"})
        assert (result["type"], result["tool_use_id"]) == ("tool_result", call.id)


@pytest.mark.parametrize("fields", [{"n": 2}, {"response_format": {"type": "json_object"}}])
async def test_what_messages_cannot_say_is_refused_by_its_name(fields: Any) -> None:  # noqa: ANN401 - JSON
    cloud = provider()
    async with cloud, in_process(cloud=cloud, model=CLOUD_ALONE) as world:
        await world.ready(0)
        refused = await world.chat(**fields)
        assert refused.status_code == 400
        error = refused.json()["error"]
        assert error["code"] == "unsupported_field"
        assert next(iter(fields)) in error["message"]
        assert cloud.seen == 0


@pytest.mark.parametrize("disease", ["cut", "unfinished", "error_event", "bad_json_event"])
async def test_a_stream_that_breaks_raises_in_openai_s_sdk(disease: Any) -> None:  # noqa: ANN401 - a literal
    cloud = provider(pace=0.01)
    async with cloud, in_process(cloud=cloud) as world:
        await world.ready(0)
        cloud.disease = Disease(disease, after=3)
        stream = await world.sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        heard = ""

        async def hear() -> None:
            nonlocal heard
            async for chunk in stream:
                heard += chunk.choices[0].delta.content or ""

        with pytest.raises(openai.APIError, match="not whole"):
            await hear()
        assert heard == text(3)


async def test_an_overloaded_provider_is_busy_and_no_failure() -> None:
    cloud = provider()
    async with cloud, in_process(cloud=cloud) as world:
        await world.ready(0)
        cloud.disease = Disease("status", status=529, retry_after=9)
        refused = await world.chat()
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        rows = await world.look("/supervisor/breakers")
        assert all(row["failures"] == 0 for row in rows["breakers"])


async def test_a_client_that_leaves_frees_the_provider() -> None:
    cloud = provider(pace=0.05)
    async with cloud, in_process(cloud=cloud) as world:
        await world.ready(0)
        stream = await world.sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        async for _ in stream:
            break
        await stream.close()
        await cloud.until(lambda: cloud.cancelled_streams == 1)


async def test_messages_to_messages_passes_every_word_and_every_event() -> None:
    """Thoughts with their signature, marks of the cache, and the client's own headers."""
    cloud = provider()
    async with cloud, in_process(cloud=cloud) as world, anthropics(world) as client:
        await world.ready(0)
        thinking = {"type": "enabled", "budget_tokens": 2048}
        system = [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]
        told, _ = await streamed(
            client, thinking=thinking, system=system, extra_headers={"anthropic-beta": "x-1,y-2"}
        )
        assert [block.type for block in told.content] == ["thinking", "text"]
        assert cast("Any", told.content[0]).signature == "c2lnbmVk"
        asked = cloud.last_request
        assert asked is not None
        assert (asked["thinking"], asked["system"]) == (thinking, system)
        sent = {name.lower(): value for name, value in cloud.last_headers.items()}
        assert (sent["anthropic-beta"], sent["x-api-key"]) == ("x-1,y-2", KEY)
        raw = await world.http.post("/v1/messages?beta=true", json=asking(stream=True))
        assert raw.headers["request-id"] == raw.headers["x-request-id"]
        assert raw.text.count("event: message_stop") == 1


async def test_a_server_s_tool_goes_to_who_has_it_past_a_healthy_exo() -> None:
    """Row 18: never dropped in silence."""
    node, cloud = ExoNode("C", pace=0.0), provider()
    async with node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        plain = await world.http.post("/v1/messages", json=asking())
        assert plain.headers["x-supervisor-target"] == node.address
        found = await world.http.post("/v1/messages", json=asking(tools=[SEARCH]))
        assert found.headers["x-supervisor-target"] == "house-cloud"
        assert found.headers["x-supervisor-shift"] == "unsupported_field"


@pytest.mark.parametrize("kind", ["exo", "cloud"])
async def test_a_server_s_tool_that_nobody_has_is_refused_by_its_name(kind: str) -> None:
    node, cloud = ExoNode("C", pace=0.0), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    alone = in_process(node) if kind == "exo" else in_process(cloud=cloud, model=CLOUD_ALONE)
    async with node, cloud, alone as world:
        await world.ready(kind == "exo")
        refused = await world.http.post("/v1/messages", json=asking(tools=[SEARCH]))
        error = refused.json()["error"]
        assert (refused.status_code, error["code"]) == (400, "unsupported_field")
        assert "web_search_20250305" in error["message"]


async def test_a_death_of_exo_before_the_content_shifts_to_the_provider() -> None:
    node, cloud = ExoNode("C", pace=0.0), provider()
    async with node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        node.disease = Disease("error_event", after=0)
        told = await world.http.post("/v1/messages", json=asking(stream=True))
        assert told.headers["x-supervisor-target"] == "house-cloud"
        assert told.text.count("event: message_start") == 1
        assert told.text.rstrip().endswith('data: {"type":"message_stop"}')
