"""The floor that every aiohttp service stands on: a bare pass-through from a Unix socket.

Takes the socket's path and the upstream's URL; ends with its standard input.
"""

import asyncio
import sys

import uvloop
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web

_JSON = {"content-type": "application/json"}


async def _serve(path: str, upstream: str) -> None:
    async with ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=60),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        timeout=ClientTimeout(total=None),
    ) as session:

        async def pass_through(request: web.BaseRequest) -> web.StreamResponse:
            body = await request.read()
            async with session.post(upstream + request.path, data=body, headers=_JSON) as answer:
                headers = {"content-type": answer.headers["content-type"]}
                if "content-length" in answer.headers:
                    headers["content-length"] = answer.headers["content-length"]
                response = web.StreamResponse(status=answer.status, headers=headers)
                await response.prepare(request)
                async for part in answer.content.iter_any():
                    await response.write(part)
                await response.write_eof()
                return response

        runner = web.ServerRunner(web.Server(pass_through, access_log=None))
        await runner.setup()
        await web.UnixSite(runner, path, backlog=4096).start()
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(0, ended.set)
        await ended.wait()
        await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], sys.argv[2]))
