"""Tokens of clients are made, listed and ended through the service, and are told to nobody else."""

import json
from pathlib import Path

import httpx
import pytest

from exo_supervisor.demo import ExoNode
from tests.app.test_clients import KIDS, OFFICE, SERVER, bearer, house
from tests.app.world import CHAT, asking, run

pytestmark = pytest.mark.real_time

ROWS = ({"name": "kids"}, {"name": "office", "admin": True}, {"name": "guests"})


def code(answer: httpx.Response) -> str:
    return answer.json()["error"]["code"]


async def test_a_token_lives_from_new_to_revoke_and_across_a_restart(tmp_path: Path) -> None:
    async with ExoNode("C") as node:
        async with house(*ROWS, node=node, state=tmp_path) as (world, tcp):
            made = await run("token", "new", "guests", "--days", "2", "--socket", world.path)
            text = made.out.strip()
            assert made.code == 0
            assert text.startswith("exs_")
            assert "undo: exo-supervisor token revoke guests." in made.err
            assert "restarts" not in made.err
            ways: list[tuple[str, dict[str, str]]] = [
                (CHAT, bearer(text)), (CHAT, {"x-api-key": text}), (f"/t/{text}{CHAT}", {}),
            ]  # fmt: skip
            for path, headers in ways:
                assert (await tcp.post(path, json=asking(), headers=headers)).status_code == 200
            lines = await world.lines("request_done", 3)
            assert {line["client"] for line in lines} == {"guests"}
            listed = await run("token", "list", "--json", "--socket", world.path)
            [row] = json.loads(listed.out)["tokens"]
            assert (row["client"], set(row)) == ("guests", {"id", "client", "made", "expires"})
            assert "guests" in (await run("token", "list", "--socket", world.path)).out
        assert (tmp_path / "tokens.json").stat().st_mode & 0o777 == 0o600
        assert text.encode() not in (tmp_path / "tokens.json").read_bytes()
        async with house(*ROWS, node=node, state=tmp_path) as (world, tcp):
            assert (await tcp.get("/v1/models", headers=bearer(text))).status_code == 200
            ended = await run("token", "revoke", row["id"], "--socket", world.path)
            assert ended.out == f"{row['id']}: revoked\n"
            answer = await tcp.get("/v1/models", headers=bearer(text))
            assert (answer.status_code, code(answer)) == (401, "bad_token")
            again = await run("token", "revoke", row["id"], "--socket", world.path)
            assert again.code == 1
            assert text.encode() not in world.log()
        (tmp_path / "tokens.json").write_bytes(b'{"version":1,"tok')
        async with house(*ROWS, node=node, state=tmp_path) as (world, tcp):
            assert await world.lines("tokens_unreadable")
            assert (await tcp.get("/v1/models", headers=bearer(text))).status_code == 401
            assert (tmp_path / "tokens.json.unreadable").exists(), "nothing is lost"


@pytest.mark.parametrize("days", [(), ("--days", "2")])
async def test_a_token_that_nothing_keeps_is_said_to_end_so(days: tuple[str, ...]) -> None:
    async with ExoNode("C") as node, house(*ROWS, node=node) as (world, _):
        said = await run("token", "new", "guests", *days, "--socket", world.path)
        assert said.code == 0
        words = " ".join(said.err.split())  # lines end where the terminal does
        assert "or the service restarts: it has no state directory" in words


async def test_admins_alone_make_tokens() -> None:
    async with ExoNode("C") as node, house(*ROWS, node=node) as (_, tcp):
        for token, status in ((KIDS, 403), (SERVER, 403), (OFFICE, 200)):
            for path in ("guests/new", "guests/revoke"):
                answer = await tcp.post(f"/supervisor/tokens/{path}", headers=bearer(token))
                assert answer.status_code == status, path
            answer = await tcp.get("/supervisor/tokens", headers=bearer(token))
            assert answer.status_code == status
        made = await tcp.post("/supervisor/tokens/default/new", headers=bearer(OFFICE))
        assert made.json()["client"] == "default"
        assert made.headers["cache-control"] == "no-store"


async def test_one_token_of_two_clients_is_nobodys() -> None:
    async with ExoNode("C") as node, house(*ROWS, node=node) as (_, tcp):
        both = {**bearer(KIDS), "x-api-key": OFFICE}
        answer = await tcp.get("/v1/models", headers=both)
        assert (answer.status_code, code(answer)) == (401, "bad_token")
        same = {**bearer(KIDS), "x-api-key": KIDS}
        assert (await tcp.get("/v1/models", headers=same)).status_code == 200
