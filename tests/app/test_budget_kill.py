"""A budget holds however often the service is killed: `budget_kill` in short."""

import pytest

from tests.app.budget_kill import run

pytestmark = [pytest.mark.real_time, pytest.mark.alone]


async def test_a_budget_outlives_kills_and_is_never_overspent() -> None:
    await run(clients=120, limit=0.12, seed=3)
