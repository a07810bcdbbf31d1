"""What Ollama's clients look up beside their chats, and what they may not ask for here."""

from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from aiohttp import web

from exo_supervisor.core.machine import Machine
from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.core.policy import ClientRule
from exo_supervisor.core.requests.clients import may_ask
from exo_supervisor.serve.control.plain import check_method, no_route, raw_json
from exo_supervisor.serve.peer import client_of
from exo_supervisor.views import models as places
from exo_supervisor.wire.ollama import models

_SHOW: Final = "/api/show"
_OF_FILES: Final = frozenset({"pull", "push", "create", "delete", "copy", "blobs"})
"""What Ollama does with the files of models, which are Exo's and the providers' here."""
_BODY_WAIT: Final = 10.0


class OllamaRoutes:
    """Answers what lies below /api; `check` raises for a name that is not known, or not theirs."""

    def __init__(
        self, machine: Machine, created: int, check: Callable[[str, ClientRule], None]
    ) -> None:
        self._machine, self._check = machine, check
        catalog = machine.catalog
        self._exact: dict[str, Callable[[ClientRule], bytes]] = {
            "/api/tags": lambda rule: models.model_tags(
                {name: places.facts_of(machine, name) for name in catalog.names(rule.models)},
                created,
            ),
            "/api/ps": lambda rule: models.running(
                sorted(each for each in catalog.ready() if may_ask(rule, each))
            ),
            "/api/version": lambda _: models.version(),
        }
        self.paths = (*self._exact, _SHOW)

    def look(
        self, request: web.BaseRequest, path: str
    ) -> web.StreamResponse | Awaitable[web.StreamResponse] | None:
        """Answer a request, None where there is no such route. Raises BadRequestError."""
        if (answer := self._exact.get(path)) is not None:
            check_method(request, path, "GET")
            return raw_json(answer(client_of(request)))
        if path == _SHOW:
            check_method(request, path, "POST")
            return self._show(request)
        verb = path.removeprefix("/api/").partition("/")[0]
        if verb in _OF_FILES:
            text = (
                f"no model's files are handled here, so there is no {verb}: Exo downloads what it "
                "places (exo-supervisor models place NAME), and a provider has its own"
            )
            raise no_route(text)
        return None

    async def _show(self, request: web.BaseRequest) -> web.StreamResponse:
        name = models.read_show(await _body(request))
        self._check(name, client_of(request))
        return raw_json(models.shown(name, places.facts_of(self._machine, name)))


async def _body(request: web.BaseRequest) -> bytes:
    """Read a small body; raises BadRequestError."""
    try:
        with anyio.fail_after(_BODY_WAIT):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        text = "the body of such a request is a name and no more"
        raise BadRequestError(Refusal(413, "body_too_large", text)) from None
    except TimeoutError:
        text = f"the body did not all come within {_BODY_WAIT:g} seconds"
        raise BadRequestError(Refusal(400, "bad_http", text)) from None
