"""What an hour cost and saved equals a sum that was made by hand."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from exo_supervisor.demo import Cloud, ExoNode
from tests.app.world import KEY, KEY_ENV, Json, World, events, in_process

pytestmark = pytest.mark.real_time

LISTED, OWN = "vendor/listed", "vendor/own"
TELLS = {
    LISTED: {
        "prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200,
        "prompt_tokens_details": {"cached_tokens": 600},
        "completion_tokens_details": {"reasoning_tokens": 150},
        "cost": 0.00126,
    },
    OWN: {
        "prompt_tokens": 2000, "completion_tokens": 300, "total_tokens": 2300,
        "prompt_tokens_details": {"cached_tokens": 500, "cache_write_tokens": 1000},
        "completion_tokens_details": {"reasoning_tokens": 100},
        "cost": 0.02,
    },
}  # fmt: skip
PRICE = {
    "provider": "house-cloud", "model": OWN, "input": 3.0, "cached": 0.3, "cache_write": 3.75,
    "output": 15.0, "reasoning": 20.0, "request": 0.001,
}  # fmt: skip
LISTED_COST = 1_260_000_000
"""400 fresh at 1 and 600 cached at 0.1, 200 answered at 4, a million: 0.00126."""
OWN_COST = 11_400_000_000
"""0.0015 fresh, 0.00015 cached, 0.00375 written, 0.003 and 0.002 answered, 0.001: 0.0114."""


@asynccontextmanager
async def house(node: ExoNode) -> AsyncGenerator[tuple[Cloud, World]]:
    async with Cloud(KEY, models=(LISTED, OWN)) as cloud:
        provider: Json = {
            "name": "house-cloud", "preset": "openrouter", "base_url": cloud.base_url,
            "key_env": [KEY_ENV],
        }  # fmt: skip
        cloud.pricing = {
            LISTED: {"prompt": "0.000001", "completion": "0.000004", "input_cache_read": "1e-7"},
            OWN: {"prompt": "9", "completion": "9"},
        }
        reference = {"reference": f"house-cloud/{OWN}"}
        async with in_process(
            node, cloud=cloud, provider=[provider], price=[PRICE], ledger=reference
        ) as world:
            await world.ready()
            yield cloud, world


async def test_figures_of_a_scripted_hour_equal_a_sum_by_hand() -> None:
    async with ExoNode() as node, house(node) as (cloud, world):
        for model, stream in ((LISTED, True), (OWN, False), (LISTED, False)):
            cloud.tells = TELLS[model]
            reply = await world.chat(model=f"house-cloud/{model}", stream=stream)
            assert reply.is_success
        assert (await world.chat(headers={"x-supervisor-route": "exo"})).is_success
        lines = await world.lines("request_done", 4)
        ended = (await world.look("/supervisor/requests?last=4"))["ended"]
        (own,) = events(world.log(), "price_drift")
    paid = [each["tried"][0] for each in reversed(ended)]
    assert [each["cost"] for each in paid] == [LISTED_COST, OWN_COST, LISTED_COST, None]
    assert [line["cost_microdollars"] for line in lines] == [1260, 11_400, 1260, None]
    reported = [each["reported_cost"] for each in paid]
    assert reported == [LISTED_COST, 20_000_000_000, LISTED_COST, None]
    facts = own["provider"], own["model"], own["cost_microdollars"], own["reported_microdollars"]
    assert facts == ("house-cloud", OWN, 11_400, 20_000)
    at_exo = paid[3]
    tokens = at_exo["prompt_tokens"] * 3_000_000 + at_exo["completion_tokens"] * 15_000_000
    assert at_exo["saved"] == tokens + 1_000_000_000
    assert [each["saved"] for each in paid[:3]] == [None] * 3
