"""No key and no token, nor a piece of one, is told: in no log, error, metric, view or file.

Every way to send a token wrongly is tried, and all that anybody is told of it is searched.
"""

from pathlib import Path
from urllib.parse import quote

import anyio
import httpx
import pytest

from exo_supervisor.demo import Cloud, Disease, ExoNode
from tests.app.test_clients import KIDS, OFFICE, SERVER, bearer, house
from tests.app.world import CHAT, CLOUD_MODEL, KEY, asking

pytestmark = pytest.mark.real_time

PIECE = 12
"""Characters of a secret that cannot stand anywhere by chance."""
FOREIGN = "token-of-another-house-8c21"
ROWS = ({"name": "kids", "rate": {"requests": 2}}, {"name": "office", "admin": True})
VIEWS = (
    "/metrics", "/v1/models", "/supervisor/status", "/supervisor/config", "/supervisor/nodes",
    "/supervisor/models", "/supervisor/breakers", "/supervisor/requests", "/supervisor/clients",
    "/supervisor/egress", "/supervisor/tokens",
)  # fmt: skip


def pieces(secret: str) -> list[bytes]:
    """Cut a secret into the pieces that may be nowhere."""
    return [secret[at : at + PIECE].encode() for at in range(len(secret) - PIECE + 1)]


def ways(token: str) -> list[tuple[str, dict[str, str]]]:
    """List every way to send a token, right or wrong: a path's beginning, and headers."""
    return [
        ("", bearer(token)),
        ("", {"authorization": token}),
        ("", {"authorization": f"Basic {token}"}),
        ("", {"authorization": f"Bearer {token} {token}"}),
        ("", {"x-api-key": token}),
        (f"/t/{token}", {}),
        (f"/t/{token}x", {}),
        (f"/{token}", bearer(SERVER)),
        ("", {**bearer(SERVER), "x-supervisor-client": token}),
        ("", {**bearer(SERVER), "x-supervisor-route": token}),
        ("", {**bearer(SERVER), "x-api-key": token, "cookie": token}),
    ]


async def told(tcp: httpx.AsyncClient, token: str) -> list[bytes]:
    """Send a token in every way; what came back, heads and bodies."""
    said: list[bytes] = []
    for prefix, headers in ways(token):
        for method, path in (("POST", CHAT), ("GET", "/v1/models")):
            body = asking() if method == "POST" else None
            answer = await tcp.request(method, prefix + path, json=body, headers=headers)
            said += [answer.content, repr(answer.headers.raw).encode()]
    return said


async def test_nothing_that_is_told_holds_a_piece_of_a_key_or_a_token(tmp_path: Path) -> None:
    async with (
        ExoNode("C", pace=0.0) as node,
        Cloud(KEY, (CLOUD_MODEL,), pace=0.0) as cloud,
        house(*ROWS, node=node, cloud=cloud, state=tmp_path) as (world, tcp),
    ):
        made: list[str] = []
        for client, verb in (("kids", "new"), ("kids", "revoke"), ("office", "new?days=1")):
            answer = await tcp.post(f"/supervisor/tokens/{client}/{verb}", headers=bearer(OFFICE))
            made += [answer.json()["token"]] if "new" in verb else []
        secrets = [SERVER, KIDS, OFFICE, FOREIGN, KEY, *made]
        said: list[bytes] = []
        for secret in secrets:
            said += await told(tcp, secret)
            named = f"/supervisor/tokens/{quote(secret, safe='')}/revoke"
            said.append((await tcp.post(named, headers=bearer(OFFICE))).content)
        cloud.disease = Disease("status", status=401)
        for _ in range(2):
            headers = {"x-supervisor-route": "cloud"}
            said.append((await world.chat(headers)).content)
        for path in VIEWS:
            answer = await tcp.get(path, headers=bearer(OFFICE))
            assert answer.status_code == 200, path
            said.append(answer.content)
        await world.idle()
        log = world.log()
    kept = [await each.read_bytes() async for each in anyio.Path(tmp_path).iterdir()]
    assert kept
    for where, texts in (("answers", said), ("log", [log]), ("state", kept)):
        everything = b"\n".join(texts)
        for secret in secrets:
            for piece in pieces(secret):
                assert piece not in everything, (where, secrets.index(secret))
