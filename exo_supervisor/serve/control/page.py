"""The HUD: the files of one page, and the session that a browser's token is changed for."""

import re
from collections.abc import Awaitable

import anyio
from aiohttp import web

import exo_supervisor
from exo_supervisor.serve.browser import SESSION, Sessions
from exo_supervisor.serve.control.plain import NOT_STORED, as_json, check_method, no_route

FOLDER = anyio.Path(exo_supervisor.__file__).parent / "hud"
INDEX = "index.html"
_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_NAME = re.compile(rf"[a-z-]{{1,40}}\.({'|'.join(_KINDS)})")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types lit-html"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-cache",
    "server": "exo-supervisor",
}


class Page:
    """Answers what lies at and below /hud."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def look(
        self, request: web.BaseRequest, rest: str
    ) -> Awaitable[web.StreamResponse] | web.StreamResponse:
        """Answer a request. Raises BadRequestError."""
        if rest == SESSION.rpartition("/")[2]:
            check_method(request, SESSION, "POST")
            return self._begin(request)
        check_method(request, request.path, "GET")
        return _file(rest or INDEX)

    def _begin(self, request: web.BaseRequest) -> web.Response:
        """Let a browser in whose token the guard has let pass; on a Unix socket it needs none."""
        token = request.headers.get("authorization", "").partition(" ")[2].strip(" ")
        cookie, proof = self._sessions.begin(token, request.headers.get("host", ""))
        return as_json({"proof": proof}, more={"set-cookie": cookie, **NOT_STORED})


async def _file(name: str) -> web.Response:
    try:
        body = await (FOLDER / name).read_bytes() if _NAME.fullmatch(name) else None
    except FileNotFoundError:
        body = None
    if body is None:
        raise no_route("the page has no such file; it begins at /hud")
    kind = _KINDS[name.rpartition(".")[2]]
    return web.Response(body=body, headers={**_HEADERS, "content-type": kind})
