"""Each way in which clients name a conversation keeps it at one node, over the real socket."""

import pytest

from exo_supervisor.demo import ExoNode
from tests.app.world import Json, in_process

pytestmark = pytest.mark.real_time


async def test_a_conversation_stays_at_its_node_however_its_client_names_it() -> None:
    """Round robin would alternate, and does where nobody names one."""
    one, two = ExoNode("C", pace=0.0), ExoNode("C", pace=0.0)
    tables: Json = {"routing": {"policy": "round_robin"}}
    async with one, two, in_process(one, two, **tables) as world:
        await world.ready(2)

        async def targets(header: dict[str, str], **more: object) -> set[str]:
            answers = [await world.chat(header, **more) for _ in range(3)]
            return {answer.headers["x-supervisor-target"] for answer in answers}

        assert len(await targets({})) == 2
        assert len(await targets({"x-supervisor-session": "s1"})) == 1
        assert len(await targets({"x-claude-code-session-id": "s2"}, stream=True)) == 1
        assert len(await targets({}, prompt_cache_key="s3")) == 1
        refused = await world.chat({"x-supervisor-session": ""})
        assert refused.json()["error"]["code"] == "bad_header"
