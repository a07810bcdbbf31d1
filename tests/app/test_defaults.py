"""What a row fills in reaches its target, and decides which target that is."""

import pytest

from exo_supervisor.demo import Cloud, ExoNode, Local
from tests.app.world import CLOUD_MODEL, EXO_MODEL, KEY, MODEL, in_process

pytestmark = pytest.mark.real_time

ROW = {"name": MODEL, "exo": [EXO_MODEL], "cloud": [f"house-cloud/{CLOUD_MODEL}"]}


async def test_a_request_gets_them_by_every_name_of_its_row() -> None:
    row = {
        "name": MODEL,
        "exo": [EXO_MODEL],
        "aliases": ["other", "star-*"],
        "defaults": {"max_tokens": 3},
    }
    async with ExoNode("C", pace=0.0) as node, in_process(node, model=[row]) as world:
        await world.ready(1)
        for name in (MODEL, "other", "star-1"):
            reply = await world.chat(model=name)
            assert reply.json()["choices"][0]["finish_reason"] == "length"
            assert (node.last_request or {})["max_tokens"] == 3
        await world.chat(model=EXO_MODEL)
        assert "max_tokens" not in (node.last_request or {})
        await world.chat(max_completion_tokens=5)
        assert (node.last_request or {})["max_tokens"] == 5


async def test_what_exo_ignores_sends_the_row_to_who_does_not() -> None:
    row = {**ROW, "defaults": {"response_format": {"type": "json_object"}}}
    cloud = Cloud(KEY, (CLOUD_MODEL,))
    node = ExoNode("C", pace=0.0)
    async with node, cloud, in_process(node, cloud=cloud, model=[row]) as world:
        await world.ready(1)
        reply = await world.chat()
        assert reply.headers["x-supervisor-shift"] == "unsupported_field"
        assert (cloud.last_request or {})["response_format"] == {"type": "json_object"}


async def test_a_default_of_n_is_of_each_prompt_and_of_no_list_of_texts() -> None:
    row = {"name": MODEL, "cloud": ["house-cloud/gpt-a"], "defaults": {"n": 2}}
    local = Local(KEY, ("gpt-a",), pace=0.0)
    async with local, in_process(cloud=local, model=[row]) as world:
        await world.ready(0)
        three = ["a", "b", "c"]
        texts = await world.http.post("/v1/completions", json={"model": MODEL, "prompt": three})
        assert [each["index"] for each in texts.json()["choices"]] == [*range(6)]
        vectors = await world.http.post("/v1/embeddings", json={"model": MODEL, "input": three})
        assert len(vectors.json()["data"]) == 3
        asked = {"model": MODEL, "input": "hi"}
        assert (await world.http.post("/v1/responses", json=asked)).status_code == 200
        assert "n" not in (local.last_request or {})
