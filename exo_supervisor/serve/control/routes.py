"""What can be asked of the house beside chats: its models, its health, and how it stands."""

from collections.abc import Awaitable, Callable, Mapping
from os import sysconf
from socket import gethostname
from time import time
from urllib.parse import unquote

import anyio
from aiohttp import web

from exo_supervisor import __version__
from exo_supervisor.core.breakers.table import Forced
from exo_supervisor.core.events import BreakerForced, Event, NodesForgotten
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, ModelId
from exo_supervisor.core.near_names import similar_clause
from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.core.policy import DEFAULT_CLIENT, ClientRule
from exo_supervisor.core.requests.clients import may_ask, not_its_own
from exo_supervisor.serve.control.about import About
from exo_supervisor.serve.control.authority import Authority
from exo_supervisor.serve.control.ollama_routes import OllamaRoutes
from exo_supervisor.serve.control.orders import ORDERS, Orders
from exo_supervisor.serve.control.plain import alike, as_json, check_method, no_route, raw_json
from exo_supervisor.serve.control.trusting import WORDS, Trusting, Word
from exo_supervisor.serve.heads import JSON_HEADERS
from exo_supervisor.serve.peer import client_of
from exo_supervisor.serve.profiles import TOKEN_MANAGER
from exo_supervisor.serve.target import CHAT
from exo_supervisor.views import models as places
from exo_supervisor.views.breakers import breaker_row, breakers
from exo_supervisor.views.nodes import nodes
from exo_supervisor.views.recorded import choice_now, stamp
from exo_supervisor.views.status import status as summed_up
from exo_supervisor.wire.openai.models import model_card, model_list

MODELS = "/v1/models"
MOST_NAMED = 5
Below = Callable[[web.BaseRequest, str], web.StreamResponse | Awaitable[web.StreamResponse]]
"""Answers what is asked at a path and below it; it is given what stands below."""
_FORCED: dict[str, Forced | None] = {"open": "open", "close": "closed", "auto": None}


class Routes:
    """Answers everything that is no dispatch route; it reads the machine and writes by events."""

    def __init__(
        self, machine: Machine, ask: Callable[[Event], None], about: About, authority: Authority,
        below: Mapping[str, Below],
    ) -> None:  # fmt: skip
        self._machine, self._ask, self._about = machine, ask, about
        self._authority, self._trusting = authority, Trusting(machine, ask)
        self._orders, self._below = Orders(machine, ask), below
        self._created = int(time())
        health = {"status": "ok", "device_name": gethostname(), "memory_gb": memory_gb()}
        self._exact: dict[str, Callable[[], web.Response]] = {
            "/": self._who,
            "/health": lambda: as_json(health),
            "/healthz": lambda: as_json({"status": "ok"}),
            "/readyz": self._ready,
            "/supervisor/status": self._status,
            "/supervisor/config": lambda: as_json(about.settings),
            "/supervisor/nodes": lambda: as_json(
                {"nodes": nodes(machine, anyio.current_time(), wall)}
            ),
            "/supervisor/models": lambda: as_json(
                {"models": places.models(machine, anyio.current_time(), wall)}
            ),
            "/supervisor/breakers": lambda: as_json({"breakers": breakers(machine, wall)}),
            "/supervisor/clients": lambda: as_json({"clients": about.clients()}),
            "/supervisor/egress": lambda: as_json(about.book.egress()),
        }
        self._ollama = OllamaRoutes(machine, self._created, self._check_model)
        exact = (path for path in self._exact if path != "/")
        self._paths = [CHAT, MODELS, *exact, "/metrics", *below, *self._ollama.paths]

    def look(
        self, request: web.BaseRequest, path: str
    ) -> web.StreamResponse | Awaitable[web.StreamResponse]:
        """Answer a request by its path. Raises BadRequestError."""
        if path == "/metrics":
            return self._metrics(request)
        for root, look in self._below.items():
            if path == root or path.startswith(f"{root}/"):
                return look(request, path[len(root) + 1 :])
        if path.startswith("/api/"):
            looked_up = self._ollama.look(request, path)
            return looked_up or self._look(request, path)
        return self._look(request, path)

    def _look(self, request: web.BaseRequest, path: str) -> web.Response | Awaitable[web.Response]:
        if (answer := self._exact.get(path)) is not None:
            check_method(request, path, "GET")
            return answer()
        if path == MODELS or path.startswith(f"{MODELS}/"):
            check_method(request, MODELS if path == MODELS else f"{MODELS}/{{id}}", "GET")
            return self._models(client_of(request), path.removeprefix(MODELS)[1:])
        if path.startswith("/supervisor/breakers/"):
            return self._breaker(request, path.removeprefix("/supervisor/breakers/"))
        if path.startswith("/supervisor/nodes/"):
            return self._trust(request, path.removeprefix("/supervisor/nodes/"))
        if path.startswith("/supervisor/models/"):
            return self._order(request, path.removeprefix("/supervisor/models/"))
        similar = alike(path, self._paths)
        if not similar or path.startswith("/v1/"):
            similar = [CHAT, "/v1/models", "/"]
        raise no_route(f"no such route; there are {', '.join(similar)}")

    def _who(self) -> web.Response:
        """Say who listens here, to somebody who found the port."""
        return as_json(
            {
                "name": "exo-supervisor",
                "version": __version__,
                "what": "speaks OpenAI's API, and hands requests to Exo nodes and cloud providers",
                "routes": self._paths,
            }
        )

    async def _metrics(self, request: web.BaseRequest) -> web.Response:
        check_method(request, "/metrics", "GET")
        body, content_type = await self._about.metrics(request.headers.get("accept", ""))
        return web.Response(body=body, headers={**JSON_HEADERS, "content-type": content_type})

    def _ready(self) -> web.Response:
        machine, now = self._machine, anyio.current_time()
        ready = machine.looked() and machine.tables.can_serve(now)
        return as_json({"ready": ready}, status=200 if ready else 503)

    def _models(self, rule: ClientRule, name: str) -> web.Response:
        """List the models that a client may ask for, or show one."""
        machine = self._machine
        if name:
            self._check_model(name, rule)
            return raw_json(model_card(name, self._created, places.facts_of(machine, name)))
        names = machine.catalog.names(rule.models)
        facts = {name: places.facts_of(machine, name) for name in names}
        codex = rule.profile != TOKEN_MANAGER  # it, too, would read that member
        return raw_json(model_list(facts, self._created, codex=codex))

    def _check_model(self, name: str, rule: ClientRule) -> None:
        """Raise BadRequestError for a name that is not known, or not this client's."""
        catalog = self._machine.catalog
        found = catalog.lookup_within(name, rule.models)
        if found is None:
            raise BadRequestError(not_its_own(rule))
        if not isinstance(found, str):
            return
        text = "no such model; GET /v1/models lists those that are known"
        for what, names in zip(("similar", "Exo could place"), catalog.nearest(name), strict=True):
            text += similar_clause([each for each in names if may_ask(rule, each)], what)
        raise BadRequestError(Refusal(404, "model_not_found", text))

    def _status(self) -> web.Response:
        about = self._about
        return as_json(
            summed_up(
                self._machine,
                anyio.current_time(),
                version=__version__,
                config=about.config,
                quiet=about.quiet(),
                wall=wall,
                tally=about.tally,
                book=about.book,
                sockets=about.sockets,
                ledger=None if about.ledger is None else about.ledger.seen(),
                verdict=about.pulse.verdict(anyio.current_time()),
            )
        )

    def _breaker(self, request: web.BaseRequest, rest: str) -> web.Response:
        target, _, verb = rest.rpartition("/")
        target = unquote(target)
        if verb not in _FORCED or not target:
            raise no_route("a breaker takes /supervisor/breakers/TARGET/open, /close or /auto")
        check_method(request, "/supervisor/breakers/TARGET/open|close|auto", "POST")
        self._authority.check(request, f"breaker {self._orders.named(target)} {verb}")
        model = self._model_at(target, request.query.get("model"))
        tables = self._machine.tables
        key = tables.breaker_key(target, model)
        was = tables.breakers.get(key)
        before = "closed" if was is None else was.state()
        held = None if was is None else was.forced
        self._ask(BreakerForced(target=target, model=model, forced=_FORCED[verb]))
        row = breaker_row(key, tables.breakers.get(key), wall)
        changed = row.state != before or held != _FORCED[verb]
        return as_json({"breaker": row, "was": before, "changed": changed})

    def _trust(self, request: web.BaseRequest, rest: str) -> web.Response | Awaitable[web.Response]:
        """Take a person's word on one node, or on all. Raises BadRequestError."""
        if rest == "forget":
            return self._forget(request)
        address, _, verb = rest.rpartition("/")
        word = WORDS.get(verb)
        if word is None:
            raise no_route("a node takes /supervisor/nodes/ADDRESS/trust or /untrust")
        check_method(request, "/supervisor/nodes/ADDRESS/trust|untrust", "POST")
        address = unquote(address)
        whom = self._orders.named(address) if address else "all"
        self._authority.check(request, f"{word} {whom}")
        return self._say_trust(address, word)

    async def _say_trust(self, address: str, word: Word) -> web.Response:
        """Have it so at once, and answer once it is known whether it outlasts a restart."""
        changed = self._trusting.say(address, word)
        why = await self._about.pins_kept()
        kept = {"kept": True} if why is None else {"kept": False, "why": why}
        rows = nodes(self._machine, anyio.current_time(), wall)
        return as_json({"nodes": rows, "changed": changed, **kept})

    def _forget(self, request: web.BaseRequest) -> web.Response:
        """Drop the nodes that are not up and that no person named. Raises BadRequestError."""
        check_method(request, "/supervisor/nodes/forget", "POST")
        self._authority.check(request, "forget nodes")
        known = self._machine.tables.registry.nodes
        before = set(known)
        self._ask(NodesForgotten())
        self._about.forget()
        return as_json({"forgotten": sorted(before - set(known))})

    def _order(self, request: web.BaseRequest, rest: str) -> web.Response:
        """Show one model, or take an order for it. Raises BadRequestError."""
        name, _, verb = rest.rpartition("/")
        order = ORDERS.get(verb)
        name = rest if order is None else name
        if order is None:
            check_method(request, "/supervisor/models/NAME", "GET")
            if self._machine.catalog.lookup(name) == "unknown":
                self._check_model(name, DEFAULT_CLIENT)
        else:
            check_method(request, "/supervisor/models/NAME/place and /remove", "POST")
            self._authority.check(request, f"{order} {self._orders.named(name)}")
            self._orders.give(name, order)
        machine, now = self._machine, anyio.current_time()
        body = {"model": places.model(machine, name, now, wall)}
        return as_json(body if order else body | {"choice": choice_now(machine, name, now)})

    def _model_at(self, target: str, name: str | None) -> ModelId | None:
        """Find the id by which a target knows a model; raises BadRequestError."""
        tables = self._machine.tables
        provider = tables.clouds.get(target)
        scope = tables.scope_of(target)
        known = provider is not None or scope in tables.registry.clusters
        if not known and Address(target) not in tables.registry.nodes:
            there = [*tables.clouds.providers, *tables.registry.nodes]
            similar = alike(target, there) or there[:MOST_NAMED]
            text = f"no such target; there are {', '.join(similar) or 'none'}"
            raise BadRequestError(Refusal(404, "target_not_found", text))
        if name is None:
            return None
        if tables.breakers.get((scope, ModelId(name))) is not None:
            return ModelId(name)
        route = self._machine.catalog.lookup(name)
        tiers = () if isinstance(route, str) else route.tiers
        wanted = None if provider is None else provider.cloud.name
        ids = [model for tier in tiers if tier.provider == wanted for model in tier.models]
        if not ids:
            text = f"{target} has no such model; GET /supervisor/models lists what is where"
            raise BadRequestError(Refusal(404, "model_not_found", text))
        return ids[0]


def memory_gb() -> float:
    """Return how much memory this host has."""
    return round(sysconf("SC_PHYS_PAGES") * sysconf("SC_PAGE_SIZE") / 2**30, 1)


def wall(instant: float) -> str:
    """Turn one of the loop's instants into RFC 3339, UTC."""
    return stamp(time() - anyio.current_time() + instant)
