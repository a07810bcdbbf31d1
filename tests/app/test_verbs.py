"""The verbs that need no running service, as processes: `config`, `check`, `demo`, a bad `run`."""

import json
import signal
import tomllib
from collections.abc import Mapping

import anyio
import pytest

from exo_supervisor.demo import Cloud, ExoNode
from tests.app.world import (
    CHAT,
    CLOUD_MODEL,
    KEY,
    KEY_ENV,
    PATIENCE,
    Ended,
    asking,
    clients,
    folder,
    left,
    run,
    run_all,
    started,
    toml,
    until,
)

pytestmark = [pytest.mark.real_time, pytest.mark.alone]

PROVIDER = '[[provider]]\nname = "p"\nbase_url = "https://example.invalid/v1"\nkey_env = "P_KEY"\n'
# the file, the environment, what the one message names
WRONG: dict[str, tuple[str, Mapping[str, str], list[str]]] = {
    "unknown key": ("[server]\nsockt = '/x'", {}, ["`sockt` in [server]", "`socket`"]),
    "unknown table": ("[sever]\n", {}, ["[sever]", "server"]),
    "wrong type": ("[server]\nmax_requests = '9'", {}, ["server.max_requests", "whole number"]),
    "bad URL": ("[discovery]\nstatic = ['10.0.0.1']", {}, ["discovery.static", "http://"]),
    "negative duration": ("[timeouts]\nstall = -1.0", {}, ["timeouts.stall", "seconds"]),
    "not built": ("[routing]\npolicy = 'cheapest'", {}, ["routing.policy", "allowed now"]),
    "no TOML": ("[server\n", {}, [":1:8", "']'"]),
    "bad environment": ("", {"EXO_SUPERVISOR_SERVER__HEAD": "0"}, ["SERVER__HEAD", "seconds"]),
    "bad key": (PROVIDER, {"P_KEY": "has a space"}, ["P_KEY", "space"]),
}


FROM_EACH = ("unknown key", "bad environment", "bad key")
"""One of the file, one of the environment, one of a key: three processes each take their time."""


@pytest.mark.parametrize(
    "name",
    [name if name in FROM_EACH else pytest.param(name, marks=pytest.mark.alone) for name in WRONG],
)
async def test_a_wrong_configuration_is_told_of_in_one_message_and_ends_with_78(name: str) -> None:
    """It names the file, the key, and what is allowed; `run` and `check` say the same."""
    text, env, named = WRONG[name]
    with folder() as place:
        file = place / "supervisor.toml"
        await anyio.Path(file).write_text(text)
        words = ("--config", str(file))
        for ended in await run_all(("run", *words), ("check", *words), env=env):
            assert (ended.code, ended.out) == (78, "")
            assert "Traceback" not in ended.err
            assert ended.err.count("error: ") == 1
            wanted = named if name in ("bad environment", "bad key") else [*named, str(file)]
            assert [word for word in wanted if word not in ended.err] == []
            assert "has a space" not in ended.err
        if name != "bad key":
            assert (await run("config", "--config", str(file), env=env)).code == 78


async def test_a_credential_that_cannot_be_read_ends_with_78() -> None:
    with folder() as place:
        file = place / "supervisor.toml"
        await anyio.Path(file).write_text(PROVIDER)
        await anyio.Path(place / "p").mkdir()
        for verb in ("run", "check"):
            ended = await run(
                verb, "--config", str(file), env={"CREDENTIALS_DIRECTORY": str(place)}
            )
            assert ended.code == 78
            assert f"the credential {place / 'p'} cannot be read" in ended.err


async def test_a_named_file_that_is_missing_ends_with_78_under_json_too() -> None:
    named = ("--config", "/nonexistent/x.toml")
    verbs = [("run", *named), ("check", *named), ("config", *named), ("check", "--json", *named)]
    ends = await run_all(*verbs)
    for ended in ends:
        assert ended.code == 78
        assert "/nonexistent/x.toml" in ended.err
    ended = ends[-1]
    assert (ended.code, ended.out) == (78, "")
    assert json.loads(ended.err)["error"]["code"] == "bad_config"


async def test_config_prints_toml_that_reads_back_and_where_each_value_is_from() -> None:
    """A flag comes before the environment, that before the file, that before the default."""
    with folder() as place:
        file = place / "supervisor.toml"
        text = (
            "[server]\nsocket = '/tmp/f'\nhead = 3.0\nmax_requests = 7\n[health]\ninterval = 9.0\n"
        )
        await anyio.Path(file).write_text(text + PROVIDER)
        env = {
            "EXO_SUPERVISOR_SERVER__SOCKET": '"/tmp/e"',
            "EXO_SUPERVISOR_SERVER__HEAD": "4.5",
            "P_KEY": KEY,
        }
        words = ("config", "--config", str(file), "--socket", "/tmp/s")
        ended = await run(*words, env=env)
        as_json = await run(*words, "--json", env=env)
        assert (ended.code, as_json.code) == (0, 0)
        assert KEY not in ended.out + as_json.out
        body, read_back = json.loads(as_json.out), tomllib.loads(ended.out)
        assert read_back["server"]["socket"] == "/tmp/s"
        assert (read_back["server"]["head"], read_back["server"]["max_requests"]) == (4.5, 7)
        for table, keys in read_back.items():
            assert keys == body["config"][table] or isinstance(keys, list)
        origins = body["origins"]
        assert "--socket" in origins["server.socket"]
        assert "EXO_SUPERVISOR_SERVER__HEAD" in origins["server.head"]
        assert str(file) in origins["server.max_requests"]
        assert "default" in origins["server.drain_timeout"]
        again = place / "again.toml"
        await anyio.Path(again).write_text(ended.out)
        second = json.loads((await run("config", "--config", str(again), "--json")).out)
        assert second["config"] == body["config"]


async def test_check_tries_all_and_spends_no_token() -> None:
    """A node, a cloud, a dead node, and a provider without a key, each in a line."""
    node, dead = ExoNode("C"), ExoNode("C")
    cloud = Cloud(KEY, (CLOUD_MODEL,))
    async with node, cloud:
        async with dead:
            pass
        with folder() as place:
            file = place / "supervisor.toml"
            await anyio.Path(file).write_text(toml([node, dead], cloud, {}) + PROVIDER)
            words = ("check", "--config", str(file))
            ended = await run(*words, env={KEY_ENV: KEY})
            assert ended.code == 0
            lines = ended.out.replace("\n  ", " ").splitlines()
            assert [line.split()[0] for line in lines[:5]] == ["ok", "ok", "warn", "ok", "off"]
            assert f"{node.address}, generation C, 1 model ready" in lines[1]
            assert "key accepted" in lines[3]
            assert "P_KEY is not set" in lines[4]
            assert (await run(*words, "--strict", env={KEY_ENV: KEY})).code == 1
            body = json.loads((await run(*words, "--json", env={KEY_ENV: KEY})).out)
            assert (body["valid"], body["warnings"], body["file"]) == (True, 1, str(file))
            states = [finding["state"] for finding in body["findings"]]
            assert states == ["ok", "ok", "warn", "ok", "off"]
            assert KEY not in ended.out + ended.err + str(body)
            assert {finding["by"] for finding in body["findings"]} == {"here"}
            assert cloud.seen == node.requests[CHAT] == 0


async def test_check_names_a_configured_model_that_its_provider_does_not_list() -> None:
    cloud, gone = Cloud(KEY, (CLOUD_MODEL,)), CLOUD_MODEL.upper()
    async with cloud:
        with folder() as place:
            file = place / "supervisor.toml"
            row = f'[[model]]\nname = "gone"\ncloud = ["house-cloud/{gone}"]\n'
            await anyio.Path(file).write_text(toml([], cloud, {}) + row)
            ended = await run("check", "--json", "--config", str(file), env={KEY_ENV: KEY})
            findings = json.loads(ended.out)["findings"]
            [(state, text)] = [(f["state"], f["text"]) for f in findings if f["kind"] == "model"]
            assert state == "warn"
            assert text == f"gone, house-cloud does not list {gone}; similar: {CLOUD_MODEL}"


async def test_the_demo_tells_a_story_in_which_each_step_happened() -> None:
    """For eyes, as JSON, and staying up until Ctrl-C: all three at the same time."""
    ends: dict[str, Ended] = {}

    async def play(*words: str) -> None:
        ends["".join(words)] = await run("demo", *words)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play)
            tasks.start_soon(play, "--json")
            tasks.start_soon(_stay)
    shown = ends[""].out.splitlines()
    assert [line.split()[2] for line in shown[1:-1]] == ["ok"] * 6
    body = json.loads(ends["--json"].out)
    assert (body["ok"], [step["ok"] for step in body["steps"]]) == (True, [True] * 6)
    assert [ended.code for ended in ends.values()] == [0, 0]
    assert "Traceback" not in ends[""].err + ends["--json"].err


async def _stay() -> None:
    with folder() as place:
        said = anyio.Path(place / "err")
        async with (
            await anyio.open_file(said, "wb") as err,
            started("demo", "--keep", "--json", err=err.wrapped) as process,
        ):
            assert process.stdout is not None
            line = b""
            while not line.endswith(b"\n"):
                line += await process.stdout.receive()
            body = json.loads(line)
            async with clients(body["socket"], lambda: b"") as world:
                answer = await world.http.post(CHAT, json=asking(model="llama-3.2-3b"))
                assert answer.status_code == 200
            await until(said.read_text, lambda text: "Ctrl-C" in text)
            process.send_signal(signal.SIGINT)
            assert await left(process) in (0, -signal.SIGINT)
        assert "Traceback" not in await said.read_text()


async def test_check_names_the_base_url_that_works() -> None:
    """A base URL without `/v1` lists nothing; the one with it does, and is given for pasting."""
    cloud = Cloud(KEY, (CLOUD_MODEL,))
    async with cloud:
        with folder() as place:
            file = place / "supervisor.toml"
            text = toml([], cloud, {}).replace(cloud.base_url, cloud.url)
            await anyio.Path(file).write_text(text)
            ended = await run("check", "--strict", "--config", str(file), env={KEY_ENV: KEY})
            assert ended.code == 1
            told = " ".join(ended.out.split())
            assert f'but {cloud.base_url} works: base_url = "{cloud.base_url}"' in told
