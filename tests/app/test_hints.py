"""Every command that the program tells a person to try says something useful there.

`LEADS` is the table of all commands that a hint names, each with the tests that follow it; a hint
that is new in the source and not in the table is found.
"""

import ast
import re
import shlex
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from exo_supervisor.cli.verbs import PROGRAM
from exo_supervisor.demo import Cloud, Disease, ExoNode
from tests.app import test_hud, test_tokens, test_verbs
from tests.app.world import (
    CLOUD_MODEL,
    EXO_MODEL,
    KEY,
    MODEL,
    SOON,
    Ended,
    World,
    folder,
    in_process,
    run,
    until,
)
from tests.cli import test_check, test_connect, test_inspect, test_ledger, test_parse
from tests.rehearse import test_drill

SOURCE = Path(__file__).parents[2] / "exo_supervisor"
SPOKEN = ("app", "cli", "config", "core", "fleet_io", "host", "rehearse", "serve", "views")
NAMES = re.compile(rf"{PROGRAM} ((?:--)?[a-z]+(?: (?:place|remove|auto|open))?)")
CARD = "mlx-community/Qwen3-0.6B-4bit"


async def test_where_no_node_is_found_status_says_where_it_looked() -> None:
    async with in_process("http://127.0.0.1:9") as world:
        await _looked(world)
        refused = await verb(world, "chat", "Hello")
        assert refused.err.startswith("error: no model is ready\n")
        said = await followed(world, refused, "exo-supervisor status")
        assert "127.0.0.1:9 the host is up, but nothing listens there" in said.out
        assert "advice" in said.out


async def test_a_node_that_is_only_seen_is_explained_by_nodes() -> None:
    async with in_process("http://127.0.0.1:9") as world:
        await _looked(world)
        refused = await verb(world, "chat", "-m", MODEL, "--privacy", "local_only", "Hello")
        said = await followed(world, refused, "exo-supervisor nodes")
        assert "why: the host is up, but nothing listens there" in said.out
        refused = await verb(world, "breaker", "nobody", "open")
        said = await followed(world, refused, "exo-supervisor nodes")
        assert "127.0.0.1:9" in said.out
        refused = await verb(world, "models", "place", MODEL)
        said = await followed(world, refused, "exo-supervisor nodes")
        assert "GENERATION" in said.out


async def test_an_unknown_model_leads_to_those_that_are_known() -> None:
    async with house() as (world, _, _cloud):
        said = await followed(
            world, await verb(world, "chat", "-m", "nosuch", "Hi"), "exo-supervisor models"
        )
        assert MODEL in said.out


async def test_a_model_that_nothing_can_serve_is_explained_by_models() -> None:
    node = ExoNode("C")
    node.disease = Disease("loading")
    async with node, in_process(node) as world:
        await world.until("/supervisor/models", lambda body: body["models"][0]["where"])
        refused = await verb(world, "chat", "-m", MODEL, "Hello")
        assert "503" in refused.err
        said = await followed(world, refused, "exo-supervisor models")
        assert "no, loading" in said.out


async def test_what_must_stay_leads_to_where_each_model_is() -> None:
    async with house() as (world, _, _cloud):
        words = ("chat", "-m", CLOUD_MODEL, "--privacy", "local_only", "Hello")
        said = await followed(world, await verb(world, *words), "exo-supervisor models")
        assert "house-cloud" in said.out


async def test_a_mere_card_is_placed_by_the_command_that_is_named() -> None:
    async with house() as (world, node, _):

        async def refused() -> Ended:
            return await verb(world, "chat", "-m", CARD, "Hello")

        said = await until(refused, lambda said: "model_not_placed" in said.err)
        placed = await followed(world, said, f"exo-supervisor models place {CARD}")
        assert node.address in placed.out
        asked = await verb(world, "models", "remove", CARD)
        removed = await followed(world, asked, f"exo-supervisor models remove {CARD} --yes")
        undone = await followed(world, removed, f"exo-supervisor models place {CARD}")
        assert node.address in undone.out


async def test_several_models_lead_to_a_chat_that_works() -> None:
    async with house(models=2) as (world, _, _cloud):
        refused = await verb(world, "chat", "Hello")
        assert refused.code == 2
        [hint] = hints(refused)
        assert hint.startswith("exo-supervisor chat --model ")
        words = shlex.split(hint.replace("...", "Hello"))[1:]
        assert (await verb(world, *words)).code == 0


async def test_a_failure_of_the_cloud_is_told_by_chat_by_why_and_again_by_status() -> None:
    async with house() as (world, node, cloud):
        await node.stop()
        cloud.disease = Disease("status", status=500)
        refused = await verb(world, "chat", "-m", MODEL, "--route", "cloud", "Hello")
        assert "house-cloud: server_error" in refused.err.replace("\n       ", " ")
        [hint] = hints(refused)
        told = await followed(world, refused, hint)
        assert "not       house-cloud: tried, an error of its own, status 500" in told.out
        assert told.out == (await verb(world, "why", "--last")).out
        said = await verb(world, "status")
        assert f"{MODEL} (house-cloud: server_error" in said.out
        assert "failed 1" in said.out


async def test_an_answer_that_broke_off_leads_to_what_failed() -> None:
    node = ExoNode("C", pace=0.0)
    async with node, in_process(node) as world:
        await world.ready()
        node.disease = Disease("cut", after=3)
        broken = await verb(world, "chat", "-m", MODEL, "Hello")
        assert "the text above is not whole" in broken.err
        [name] = re.findall("run it again; exo-supervisor why (.*) tells", broken.err)
        assert f"{node.address}: tried" in (await verb(world, "why", name)).out
        assert f"{node.address}: " in (await verb(world, "status")).out


async def test_a_held_breaker_is_let_go_by_the_commands_that_are_named() -> None:
    async with house() as (world, node, _):
        undo = f"exo-supervisor breaker {node.address} auto"
        held = await verb(world, "breaker", node.address, "open")
        assert f"undo: {undo}" in held.err
        assert "a restart of the service lets it go, too" in held.err
        assert undo in (await verb(world, "status")).out
        assert "open -> closed" in (await verb(world, *undo.split()[1:])).out
        half = await verb(world, "breaker", node.address)
        opened = await followed(world, half, f"exo-supervisor breaker {node.address} open")
        assert "closed -> open" in opened.out


async def test_half_a_command_leads_to_a_whole_one() -> None:
    async with house() as (world, _, _cloud):
        for words in (["models", "place"], ["breaker", "--model", "m"], ["status", "now"]):
            [hint] = hints(await verb(world, *words))
            whole = hint.replace("NAME", MODEL).replace("TARGET", "house-cloud")
            whole = whole.replace("--model m", f"--model {CLOUD_MODEL}")
            assert (await verb(world, *shlex.split(whole)[1:])).code == 0, hint
        empty = await verb(world, "chat", " ")
        [hint] = hints(empty)
        assert (await verb(world, *shlex.split(hint)[1:], "-m", MODEL)).code == 0


async def test_no_service_leads_to_run_and_a_bad_file_to_check() -> None:
    with folder() as place:
        env = {"XDG_RUNTIME_DIR": str(place)}
        [hint] = hints(await run("status", env=env))
        assert hint.endswith("exo-supervisor run")
        (place / "bad.toml").write_text("[server\n")
        [hint] = hints(await run("status", "--config", str(place / "bad.toml"), env=env))
        assert hint == f"exo-supervisor check --config {place / 'bad.toml'}"
        assert "bad.toml:1:8: error:" in (await run(*hint.split()[1:], env=env)).err


LEADS = {
    "status": [test_where_no_node_is_found_status_says_where_it_looked],
    "why": [
        test_a_failure_of_the_cloud_is_told_by_chat_by_why_and_again_by_status,
        test_an_answer_that_broke_off_leads_to_what_failed,
    ],
    "nodes": [test_a_node_that_is_only_seen_is_explained_by_nodes],
    "models": [
        test_an_unknown_model_leads_to_those_that_are_known,
        test_a_model_that_nothing_can_serve_is_explained_by_models,
        test_what_must_stay_leads_to_where_each_model_is,
    ],
    "models place": [test_a_mere_card_is_placed_by_the_command_that_is_named],
    "models remove": [test_a_mere_card_is_placed_by_the_command_that_is_named],
    "chat": [
        test_several_models_lead_to_a_chat_that_works,
        test_half_a_command_leads_to_a_whole_one,
    ],
    "breaker": [test_a_held_breaker_is_let_go_by_the_commands_that_are_named],
    "run": [test_no_service_leads_to_run_and_a_bad_file_to_check],
    "check": [test_no_service_leads_to_run_and_a_bad_file_to_check],
    "config": [test_check.test_settings_of_another_version_are_printed_as_they_came_or_not],
    "demo": [test_verbs.test_the_demo_tells_a_story_in_which_each_step_happened],
    "drill": [test_drill],
    "connect": [test_connect],
    "token": [test_tokens],
    "ledger": [test_ledger],
    "hud": [test_hud],
    "inspect": [test_inspect],
    "--help": [test_parse.test_help_fits_one_screen],
}


def test_every_command_that_a_hint_names_is_in_the_table() -> None:
    named = {name for path in _sources() for name in _named(path)}
    assert named == set(LEADS), "a hint needs a test that follows it"


def _sources() -> Iterator[Path]:
    for package in SPOKEN:
        yield from (SOURCE / package).rglob("*.py")


def _named(path: Path) -> Iterator[str]:
    """Name the commands in a file's texts, docstrings and the help left out."""
    if path.name in ("verbs.py", "usage.py", "version.py"):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    parts = {
        id(part)
        for each in ast.walk(tree)
        if isinstance(each, ast.JoinedStr)
        for part in each.values
    }
    for each in ast.walk(tree):
        if id(each) in docs or id(each) in parts:
            continue
        if isinstance(each, ast.JoinedStr):
            yield from _commands("".join(map(_spelled, each.values)))
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield from _commands(each.value)


def _spelled(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    code = ast.unparse(part)
    return PROGRAM if "PROGRAM" in code else "X"


def _commands(text: str) -> Iterator[str]:
    for found in NAMES.findall(text):
        yield found if found.startswith("models ") else found.partition(" ")[0]


def hints(ended: Ended) -> list[str]:
    """Take what a command told to try or undo with."""
    return re.findall(r"(?:try|undo): (.*)", ended.err)


async def verb(world: World, *words: str) -> Ended:
    return await run(*words, "--socket", world.path)


async def followed(world: World, ended: Ended, command: str) -> Ended:
    """Follow a hint, which must be the one that was given; raises if it leads to an error."""
    assert command in ended.out + ended.err, ended
    done = await verb(world, *shlex.split(command)[1:])
    assert done.code == 0, done
    return done


async def _looked(world: World) -> None:
    await world.until("/supervisor/status", lambda body: not body["looking"])


@asynccontextmanager
async def house(models: int = 1) -> AsyncGenerator[tuple[World, ExoNode, Cloud]]:
    """Run the service before a node that is ready and a cloud that was reached."""
    more = ("mlx-community/Qwen3-30B-A3B-4bit",) if models > 1 else ()
    node = ExoNode("C", pace=0.0)
    if more:
        node = ExoNode("C", (EXO_MODEL, *more), pace=0.0)
    cloud = Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    async with node, cloud, in_process(node, cloud=cloud, waits=SOON) as world:
        await world.ready()
        await world.lines("provider_reached")
        yield world, node, cloud


pytestmark = [pytest.mark.real_time, pytest.mark.alone]
