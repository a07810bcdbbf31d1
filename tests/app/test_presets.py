"""A provider named by its preset alone is asked as it wants to be."""

import pytest

from exo_supervisor.app.files import keys
from exo_supervisor.app.trial import try_all
from exo_supervisor.config.read import read
from exo_supervisor.demo import Cloud
from tests.app.world import CLOUD_MODEL, KEY, MODEL, in_process

pytestmark = pytest.mark.real_time

ROW = {"name": MODEL, "cloud": [f"house-cloud/{CLOUD_MODEL}"]}


@pytest.mark.parametrize(
    ("preset", "limit"), [("openai", "max_completion_tokens"), ("groq", "max_tokens")]
)
async def test_a_limit_reaches_it_under_the_name_that_it_takes(preset: str, limit: str) -> None:
    cloud = Cloud(KEY, (CLOUD_MODEL,))
    async with cloud:
        provider = {"name": "house-cloud", "preset": preset, "base_url": cloud.base_url}
        async with in_process(provider=[provider], model=[ROW]) as world:
            await world.ready(0)
            reply = await world.chat(max_tokens=7)
            assert reply.status_code == 200
            asked = cloud.last_request or {}
            named = {name: asked[name] for name in asked if name.startswith("max_")}
            assert named == {limit: 7}


async def test_a_server_that_needs_no_key_is_sent_none() -> None:
    async with Cloud(None, (CLOUD_MODEL,)) as cloud:
        text = f'[[provider]]\nname = "home"\npreset = "vllm"\nbase_url = "{cloud.base_url}"\n'
        config = read(f"[discovery]\nstatic = []\n{text}", file="test", environ={}).config
        tried = await try_all(config, keys(config, {}))
        assert [(each.state, each.text) for each in tried] == [("ok", "home, lists 1 models")]
