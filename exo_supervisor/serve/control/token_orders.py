"""What an admin may order of tokens: to see which there are, to make one, to end some."""

from collections.abc import Awaitable

import structlog
from aiohttp import web

from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.errors import SupervisorError, why_failed
from exo_supervisor.serve.clients import Clients
from exo_supervisor.serve.control.authority import Authority
from exo_supervisor.serve.control.plain import (
    NOT_STORED,
    as_json,
    check_client,
    check_method,
    no_route,
)
from exo_supervisor.serve.tokens import Token, Tokens, TooManyTokensError
from exo_supervisor.views.recorded import stamp

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("tokens")

TOKENS = "/supervisor/tokens"
VERBS = ("new", "revoke")
MAX_DAYS = 36_500


class TokenOrders:
    """Answers what lies at and below /supervisor/tokens, to those who may give orders."""

    def __init__(self, tokens: Tokens, clients: Clients, authority: Authority) -> None:
        self._tokens, self._clients, self._authority = tokens, clients, authority

    def look(self, request: web.BaseRequest, rest: str) -> Awaitable[web.Response] | web.Response:
        """Answer a request. Raises BadRequestError."""
        self._authority.check(request, order_of(rest))
        if not rest:
            check_method(request, TOKENS, "GET")
            rows = [_row(each) for each in self._tokens.rows()]
            return as_json({"tokens": rows}, more=NOT_STORED)
        name, _, verb = rest.rpartition("/")
        if verb not in VERBS or not name:
            raise no_route(f"tokens take {TOKENS}/NAME/new or /revoke")
        check_method(request, f"{TOKENS}/NAME/new and /revoke", "POST")
        if verb == "revoke":
            return self._revoke(name)
        return self._make(name, _days(request.query.get("days")))

    async def _make(self, client: str, days: int | None) -> web.Response:
        check_client(client, self._clients)
        try:
            text, token = await self._tokens.make(client, days)
        except TooManyTokensError as full:
            raise BadRequestError(Refusal(503, "overloaded", str(full))) from None
        except (OSError, SupervisorError) as fault:
            raise _not_kept("no token was made", fault) from None
        log.info("token_made", id=token.id, client=client)
        kept = {} if self._tokens.survive_restart else {"kept": False}
        return as_json({"token": text, **_row(token), **kept}, more=NOT_STORED)

    async def _revoke(self, name: str) -> web.Response:
        try:
            gone = await self._tokens.revoke(name)
        except (OSError, SupervisorError) as fault:
            raise _not_kept("it holds no more, until a restart", fault) from None
        if not gone:
            text = "there is no such token, and none of a client of this name: see token list"
            raise BadRequestError(Refusal(404, "target_not_found", text))
        log.info("tokens_revoked", ids=gone)
        return as_json({"revoked": gone}, more=NOT_STORED)


def order_of(rest: str) -> str:
    """Name an order, but not what it is given for: somebody may take a token for its name."""
    verb = rest.rpartition("/")[2]
    return f"token {verb if verb in VERBS else 'list'}"


def _days(said: str | None) -> int | None:
    if said is None:
        return None
    if not (said.isascii() and said.isdigit() and len(said) < 6 and 0 < int(said) <= MAX_DAYS):  # noqa: PLR2004 - no more digits
        text = f"days is a whole number from 1 to {MAX_DAYS}"
        raise BadRequestError(Refusal(400, "wrong_type", text, param="days"))
    return int(said)


def _not_kept(what: str, fault: Exception) -> BadRequestError:
    log.error("tokens_unwritable", why=why_failed(fault))
    text = f"{what}: the state directory cannot be written; the log says why"
    return BadRequestError(Refusal(500, "internal", text))


def _row(token: Token) -> dict[str, object]:
    return {
        "id": token.id,
        "client": token.client,
        "made": stamp(token.made, "seconds"),
        "expires": None if token.expires is None else stamp(token.expires, "seconds"),
    }
