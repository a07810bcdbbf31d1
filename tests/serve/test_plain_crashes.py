"""A route that crashes says so, in our own words, and the log says where."""

import httpx
import pytest
import structlog
from aiohttp import web

from exo_supervisor.core.outcomes import Refusal
from tests.serve.listening import HOST, listening

pytestmark = pytest.mark.real_time


async def crash(_: web.BaseRequest, __: Refusal | None) -> web.StreamResponse:
    raise ZeroDivisionError("a prompt that nobody may read")


@pytest.mark.parametrize(("path", "kind"), [("/readyz", "openai"), ("/api/tags", "ollama")])
async def test_a_crash_is_internal_and_not_the_client_s(path: str, kind: str) -> None:
    with structlog.testing.capture_logs() as lines:
        async with listening(crash) as port, httpx.AsyncClient() as client:
            answer = await client.get(f"http://{HOST}:{port}{path}")
    assert answer.status_code == 500
    body = answer.json()
    assert body["code"] == "internal" if kind == "ollama" else body["error"]["code"] == "internal"
    (line,) = [line for line in lines if line["event"] == "connection_crashed"]
    assert line["crash"][0].startswith("ZeroDivisionError < ")
    assert "prompt" not in str(lines) + answer.text
