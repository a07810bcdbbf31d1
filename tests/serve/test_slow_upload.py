"""A body may take its minute, and longer as far as it comes at a bearable pace."""

from typing import cast

import anyio
import pytest
from aiohttp import web

from exo_supervisor.core.requests.admission import Gate
from exo_supervisor.errors import BadRequestError
from exo_supervisor.serve.body import BODY_TOTAL, SLOWEST, Body


class Upload:
    """A request whose body comes in so many parts, one a second."""

    transport = None
    content_length = None
    version = (1, 1)

    def __init__(self, parts: int, size: int) -> None:
        self.headers = Headers()
        self.content = self
        self._parts, self._size = parts, size

    def is_eof(self) -> bool:
        return not self._parts

    async def readany(self) -> bytes:
        if not self._parts:
            return b""
        await anyio.sleep(1.0)
        self._parts -= 1
        return b"x" * self._size


class Headers(dict[str, str]):
    """No headers at all."""

    def getall(self, _name: str, default: list[str]) -> list[str]:
        return default


async def read(upload: Upload) -> bytes:
    body = Body(Gate(10), 1024 * SLOWEST)
    return await body.read(cast("web.BaseRequest", upload))


async def test_a_large_body_that_comes_at_the_slowest_pace_comes_whole() -> None:
    began = anyio.current_time()
    assert len(await read(Upload(300, SLOWEST))) == 300 * SLOWEST
    assert anyio.current_time() - began == 300.0


async def test_one_at_a_quarter_of_that_pace_gets_a_second_more_for_each_piece_that_came() -> None:
    began = anyio.current_time()
    with pytest.raises(BadRequestError, match="did not all come"):
        await read(Upload(300, SLOWEST // 4))
    came = 79  # in so many seconds, and the next part would come after the time that they gave
    assert anyio.current_time() - began == BODY_TOTAL + came / 4
