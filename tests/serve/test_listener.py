"""What a head says is not asked again over its connection; whose token it brings is, each time."""

import anyio
import pytest
from anyio.abc import SocketStream

from exo_supervisor.core.policy import DEFAULT_CLIENT, ClientRule
from exo_supervisor.http.server_connection import ServerConnection
from exo_supervisor.http.service import Handler
from exo_supervisor.serve.dispatch_head import DispatchHead
from exo_supervisor.serve.token import Guard
from tests.serve.listening import HOST, answer_plainly, listening

pytestmark = pytest.mark.real_time

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer t\r\n"
LENGTH = b"content-length: 0\r\n\r\n"


async def status_of(client: SocketStream, request: bytes) -> bytes:
    """Ask, and return the status alone."""
    await client.send(request)
    return (await client.receive()).split(b" ")[1]


async def test_a_head_that_comes_again_is_not_read_again() -> None:
    seen: list[DispatchHead] = []

    def begin(connection: ServerConnection, dispatch: DispatchHead, length: int | None) -> Handler:
        seen.append(dispatch)
        return answer_plainly(connection, dispatch, length)

    async with listening(begin=begin) as port, await anyio.connect_tcp(HOST, port) as client:
        for more in (b"", b"", b"x-supervisor-route: exo\r\n", b""):
            assert await status_of(client, HEAD + more + LENGTH) == b"200"
    assert seen[1] is seen[0]
    assert seen[2] is not seen[1]
    assert ["x-supervisor-route" in each.head.headers for each in seen[2:]] == [True, False]


async def test_a_head_is_read_once_for_all_connections_and_anew_for_another_client() -> None:
    seen: list[DispatchHead] = []
    known = {"t": DEFAULT_CLIENT}

    def begin(connection: ServerConnection, dispatch: DispatchHead, length: int | None) -> Handler:
        seen.append(dispatch)
        return answer_plainly(connection, dispatch, length)

    async with listening(begin=begin, guard=Guard(known.get)) as port:
        for rule in (DEFAULT_CLIENT, DEFAULT_CLIENT, ClientRule("other"), None):
            if rule is None:
                del known["t"]
            else:
                known["t"] = rule
            async with await anyio.connect_tcp(HOST, port) as client:
                assert await status_of(client, HEAD + LENGTH) == (b"200" if rule else b"401")
    assert seen[1] is seen[0]
    assert len({id(each) for each in seen}) == 3
    assert [each.rule.name for each in seen[1:3]] == [DEFAULT_CLIENT.name, "other"]


async def test_a_token_that_is_nobodys_any_more_is_refused_over_a_kept_connection() -> None:
    known = {"t": DEFAULT_CLIENT}
    async with (
        listening(begin=answer_plainly, guard=Guard(known.get)) as port,
        await anyio.connect_tcp(HOST, port) as client,
    ):
        assert await status_of(client, HEAD + LENGTH) == b"200"
        del known["t"]
        assert await status_of(client, HEAD + LENGTH) == b"401"
