"""The program on a machine without what only Linux has: as near to macOS as Linux can come.

`mac/sitecustomize.py` takes the names and the files away in processes of their own.
"""

import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from exo_supervisor.demo import Cloud, ExoNode
from tests.app.world import (
    CLOUD_MODEL,
    KEY,
    KEY_ENV,
    MODEL,
    Ended,
    World,
    environ,
    folder,
    process_of_service,
    run,
    toml,
)

pytestmark = [pytest.mark.real_time, pytest.mark.alone]

SHIM = str(Path(__file__).parent / "mac")
BARE = {"PYTHONPATH": SHIM}


async def test_the_shim_takes_away_what_a_mac_has_not() -> None:
    code = "import os, select, socket\n"
    code += "names = 'SO_PEERCRED', 'AF_NETLINK', 'SO_BINDTODEVICE', 'AF_PACKET'\n"
    code += "assert not [name for name in names if hasattr(socket, name)]\n"
    code += "assert not hasattr(select, 'epoll') and not os.path.exists('/proc/self')\n"
    code += "assert not hasattr(os, 'sched_getaffinity')"
    done = await anyio.run_process([sys.executable, "-c", code], env=environ(**BARE))
    assert done.returncode == 0


async def test_the_demo_tells_its_story() -> None:
    done = await run("demo", env=BARE)
    assert (done.code, done.err) == (0, "")
    assert done.out.count("  ok  ") == 6
    assert "Every answer was whole or a clear error." in done.out


@asynccontextmanager
async def service() -> AsyncGenerator[tuple[World, str, ExoNode]]:
    """Run the real service, all discovery on, before a node and a cloud."""
    node, cloud = ExoNode("C", pace=0.0), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    with folder() as place:
        async with node, cloud:
            text = toml([node], cloud, {"discovery": {"broadcast": "raw", "multicast": True}})
            env = {**BARE, KEY_ENV: KEY}
            async with process_of_service(place, text, env=env) as (world, _process):
                await world.ready()
                await world.until("/supervisor/status", lambda status: status["ready"])
                yield world, str(place / "s"), node


async def test_every_verb_works_against_the_service() -> None:
    async with service() as (world, path, node):

        async def verb(*words: str) -> Ended:
            done = await run(*words, "--socket", path, env=BARE)
            assert done.code == 0, done
            return done

        assert "Exo serves, cloud stands by" in (await verb("status")).out
        assert node.address in (await verb("nodes")).out
        assert MODEL in (await verb("models")).out
        assert "closed." in (await verb("breaker")).out
        held = await verb("breaker", node.address, "open")
        assert "closed -> open" in held.out
        assert "open by the operator" in (await verb("status")).out
        await verb("breaker", node.address, "auto")
        assert (await verb("socket")).out.strip() == path
        answer = await verb("chat", "-m", MODEL, "--deadline", "20", "Hello")
        assert answer.out.strip()
        assert node.address in answer.err
        line = (await world.lines("request_done", 1))[0]
        assert line["client_uid"] == os.geteuid(), "as LOCAL_PEERCRED tells it"


async def test_what_is_missing_is_said_in_the_status() -> None:
    async with service() as (world, _, _node):
        looked = (await world.look("/supervisor/status"))["looked"]
        assert any(each.startswith("broadcast is quiet: only Linux hears") for each in looked)
        multicast = [each for each in looked if each.startswith("multicast is quiet: ")]
        assert multicast, "no neighbour can be told, or no link has IPv6"


async def test_configuration_and_check_work() -> None:
    async with ExoNode("C") as node:
        with folder() as place:
            file = place / "supervisor.toml"
            file.write_text(toml([node], None, {}))
            for verb in ("config", "check"):
                done = await run(verb, "--json", "--config", str(file), env=BARE)
                assert done.code == 0, done
                assert json.loads(done.out)["file"] == str(file)
