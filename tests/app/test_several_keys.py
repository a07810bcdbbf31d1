"""A provider's keys, over real sockets: the next one answers, and none of them is ever shown."""

import json

import pytest

from exo_supervisor.app.files import keys
from exo_supervisor.app.trial import try_all
from exo_supervisor.config.read import read
from exo_supervisor.demo import Cloud
from tests.app.world import CLOUD_MODEL, KEY, MODEL, Json, World, in_process

pytestmark = pytest.mark.real_time

SECOND = f"{KEY}-1"
QUOTA = "You exceeded your current quota, please check your plan and billing details."
RATE = "Rate limit reached for requests per minute (RPM)"


def provider(cloud: Cloud, name: str = "house-cloud", **more: object) -> Json:
    return {"name": name, "base_url": cloud.base_url, "key_env": ["KEY_1", "KEY_2"], **more}


def row(*names: str) -> list[Json]:
    return [{"name": MODEL, "cloud": [f"{name}/{CLOUD_MODEL}" for name in names]}]


async def shown(world: World) -> str:
    views = [await world.look(f"/supervisor/{view}") for view in ("status", "config", "models")]
    return json.dumps(views) + world.log().decode()


@pytest.mark.parametrize(
    ("status", "words", "state"),
    [
        pytest.param(401, f"Incorrect API key provided: {KEY}", "refused", id="401"),
        pytest.param(402, "Insufficient credits", "refused", id="402"),
        pytest.param(403, "Your account has been suspended", "refused", id="403"),
        pytest.param(400, "API key not valid. Please pass a valid API key.", "refused", id="400"),
        pytest.param(429, QUOTA, "refused", id="429 of quota"),
        pytest.param(429, RATE, "limited", id="429 of rate"),
    ],
)
async def test_where_the_first_key_is_refused_the_second_answers(
    status: int, words: str, state: str
) -> None:
    async with Cloud(None, (CLOUD_MODEL,), pace=0.0) as cloud:
        cloud.refuses[KEY] = status, words
        async with in_process(provider=[provider(cloud)], model=row("house-cloud")) as world:
            await world.ready(0)
            answer = await world.chat()
            assert (answer.status_code, answer.headers["x-supervisor-attempts"]) == (200, "2")
            assert "x-supervisor-shift" not in answer.headers
            again = await world.chat()
            assert again.headers["x-supervisor-attempts"] == "1"
            [seen] = (await world.look("/supervisor/status"))["providers"]
            assert (seen["state"], seen["keys"]) == ("ready", 2)
            assert [key["key"] for key in seen["refused"]] == ([1] if state == "refused" else [])
            assert KEY not in await shown(world) + answer.text + str(answer.headers)


async def test_where_all_keys_are_refused_the_next_target_answers() -> None:
    async with Cloud(None, (CLOUD_MODEL,)) as cloud, Cloud(None, (CLOUD_MODEL,)) as other:
        cloud.refuses |= {KEY: (401, "Incorrect API key"), SECOND: (429, QUOTA)}
        tables = [provider(cloud), provider(other, "other", priority=2)]
        async with in_process(provider=tables, model=row("house-cloud", "other")) as world:
            await world.ready(0)
            answer = await world.chat()
            assert answer.headers["x-supervisor-target"] == "other"
            assert answer.headers["x-supervisor-attempts"] == "3"
            first, _ = (await world.look("/supervisor/status"))["providers"]
            assert (first["state"], [key["key"] for key in first["refused"]]) == ("bad_key", [1, 2])
            lines = await world.lines("provider_key_refused", 2)
            assert [(line["number"], line["status"]) for line in lines] == [(1, 401), (2, 429)]
            assert KEY not in await shown(world)


async def test_check_tries_each_key_and_warns_of_one_that_is_not_there() -> None:
    async with Cloud("good-key-of-the-two", (CLOUD_MODEL,)) as cloud:
        text = f"""
            [discovery]
            static = []
            [[provider]]
            name = "p"
            base_url = "{cloud.base_url}"
            key_env = ["K_1", "K_2", "K_3"]
        """
        config = read(text, file="test", environ={}).config
        environ = {"K_1": "good-key-of-the-two", "K_3": "another-key-of-theirs"}
        tried = await try_all(config, keys(config, environ))
        assert [(each.state, each.text) for each in tried] == [
            ("warn", "p, K_2 is not set"),
            ("ok", "p, lists 1 models; key accepted (key 1 of 2)"),
            ("warn", "p, its list was refused with status 401 (key 2 of 2)"),
        ]
