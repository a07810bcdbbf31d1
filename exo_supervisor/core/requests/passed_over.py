"""Whom a request passes over, and why: told with what it then does, for people.

`next_step` only notes the reasons that it met. What they come down to is put into words here, once,
when the request goes somewhere or is refused; where nothing was in its way that is nothing at all.
"""

from collections.abc import Iterator
from itertools import islice

from msgspec.structs import asdict

from exo_supervisor.core.breakers.transitions import evidence_of
from exo_supervisor.core.choice import HOME, Choice, Passed
from exo_supervisor.core.fleet.nodes import Node
from exo_supervisor.core.names import ModelId, ProviderName
from exo_supervisor.core.requests.candidate import Candidate
from exo_supervisor.core.requests.candidates import Block
from exo_supervisor.core.requests.catalog import Route, Tier
from exo_supervisor.core.requests.request import Attempt, RequestState
from exo_supervisor.core.requests.spending import shortage
from exo_supervisor.core.tables import Tables

MOST_PASSED = 16
"""Targets that are told of with one step, at most."""
_TOLD_BY_ATTEMPTS = frozenset({Block.FAILED.value, Block.BUSY.value})
Reason = tuple[str, float | None]
"""What there is to say beyond the reason itself, and when it is to end."""


def why_there(
    state: RequestState, candidate: Candidate, choice: Choice, tables: Tables, now: float
) -> Choice:
    """Tell why a request goes where it does; `choice` is what the choice itself knew."""
    moved = False
    if state.event.session:
        home = tables.affinity.home(state.event, candidate.provider)
        moved = home is not None and home.model != candidate.guards[1]
        if home is not None and not moved and choice.why == "only":
            choice = HOME
    again = bool(state.faults) and candidate.target in {target for target, _ in state.faults}
    down = tables.candidates.down() if candidate.provider is None else ()
    if not (again or moved or down or state.waited or state.met or state.empty or state.narrowed):
        return choice
    why = "again" if again and choice.why != "anew" else choice.why
    passed, waited = _told(state, candidate, tables, now), state.waited
    state.waited = None
    return Choice(why, passed + down, choice.compared, waited, moved)


def why_nowhere(state: RequestState, tables: Tables, now: float) -> Choice:
    """Tell whom a request passed over that goes nowhere."""
    return Choice(passed=_told(state, None, tables, now), waited=state.waited)


def evidence_for(
    state: RequestState, attempt: Attempt, tables: Tables, now: float
) -> list[dict[str, object]]:
    """Tell what led a request to where it is answered: failed attempts, and who was passed over.

    With a breaker come the failures that had opened it.
    """
    told: list[dict[str, object]] = [
        {"target": target, "reason": "attempt_failed", "detail": fault.value}
        for target, fault in state.faults
    ]
    for each in attempt.choice.passed:
        row: dict[str, object] = {name: fact for name, fact in asdict(each).items() if fact}
        if each.reason == Block.BREAKER.value:
            models = None, ModelId(each.model or "")
            keys = (tables.breaker_key(each.target, model) for model in models)
            failures = [one for key in keys for one in tables.breakers.last_failures(key)]
            row["failures"] = evidence_of(failures, now)
        told.append(row)
    return told[:MOST_PASSED]


def left_out(state: RequestState, route: Route) -> Iterator[Passed]:
    """Tell which tiers of its route are not open to a request, however well they are."""
    for tier in route.tiers:
        if tier in state.tiers:
            continue
        if state.seen.local_only and tier.side == "cloud":
            reason = "local_only"
        elif state.event.route not in (None, tier.side):
            reason = "route"
        else:
            reason = Block.FIELD.value
        detail = _fields(state) if reason == Block.FIELD.value else ""
        yield Passed(tier.provider or tier.side, tier.models[0], reason, detail)


def _told(
    state: RequestState, chosen: Candidate | None, tables: Tables, now: float
) -> tuple[Passed, ...]:
    """Tell whom a request passed over since that was told last, and forget what was noted."""
    passed = (*state.narrowed, *islice(_passed(state, chosen, tables, now), MOST_PASSED))
    state.narrowed = ()
    state.met.clear()
    state.empty.clear()
    return passed


def _passed(
    state: RequestState, chosen: Candidate | None, tables: Tables, now: float
) -> Iterator[Passed]:
    tried = {target for target, _ in state.faults}
    for slot, (candidate, reason) in state.met.items():
        if chosen is not None and slot == chosen.slot:
            continue
        if reason in _TOLD_BY_ATTEMPTS and candidate.target in tried:
            continue
        detail, until = _DETAILS.get(reason, _nothing)(candidate, state, tables, now)
        left = None if until is None else round(max(0.0, until - now), 3)
        yield Passed(candidate.target, candidate.model, reason, detail, left)
    for tier in state.empty.values():
        yield from _nobody(tier, state, tables)


def _nothing(_: Candidate, __: RequestState, ___: Tables, ____: float) -> Reason:
    return "", None


def _open(candidate: Candidate, _: RequestState, tables: Tables, now: float) -> Reason:
    """Say why a breaker lets nobody through; the house still stands as when it was asked."""
    shut = (key for key in candidate.guards if not tables.breakers.may_admit(key, now))
    cell = tables.breakers.get(next(shut, candidate.guards[0]))
    if cell is None or cell.forced is not None:
        return "held open by the operator", None
    if cell.state() == "half_open":
        return "its probe is under way", None
    return f"last {cell.last}", cell.rest_ends()


def _busy(candidate: Candidate, state: RequestState, tables: Tables, now: float) -> Reason:
    until = tables.busy.free_at(candidate.slot, state.event.draw)
    if until is not None and now < until:
        return "it asked to be left alone", until
    return "no seat is free", None


def _unpaid(candidate: Candidate, state: RequestState, tables: Tables, _: float) -> Reason:
    event, counted = state.event, state.seen.counted
    provider = ProviderName(candidate.target)
    return shortage(event, provider, candidate.model, tables, counted=counted), None


def _failed(_: Candidate, __: RequestState, ___: Tables, ____: float) -> Reason:
    return "it shares what failed, or what the request did not fit into", None


def _unfit(_: Candidate, state: RequestState, __: Tables, ___: float) -> Reason:
    return _fields(state), None


def _unlisted(candidate: Candidate, _: RequestState, tables: Tables, __: float) -> Reason:
    name = candidate.provider
    said = "" if name is None else tables.clouds.unlisted(name, candidate.model)
    return said or "it has no such model, or none of its own", None


def _unusable(candidate: Candidate, _: RequestState, tables: Tables, now: float) -> Reason:
    provider = tables.clouds.get(candidate.target)
    return "not configured" if provider is None else provider.state(now), None


def _fields(state: RequestState) -> str:
    return ", ".join(sorted({*state.event.hazards, *state.seen.demands}))


_DETAILS = {
    Block.BREAKER.value: _open,
    Block.BUSY.value: _busy,
    Block.BUDGET.value: _unpaid,
    Block.FAILED.value: _failed,
    Block.FIELD.value: _unfit,
    Block.CLOUD.value: _unusable,
    Block.DOWN.value: _unusable,
    Block.NOT_READY.value: _unlisted,
}


def _nobody(tier: Tier, state: RequestState, tables: Tables) -> Iterator[Passed]:
    """Tell why no target of a tier came into question at all."""
    nodes = tables.registry.nodes
    if not nodes:
        yield Passed(tier.side, tier.models[0], Block.DOWN.value, "no node is known")
    for node in nodes.values():
        yield _not_ready(node, tier.models, state, tables)


def _not_ready(
    node: Node, models: tuple[ModelId, ...], state: RequestState, tables: Tables
) -> Passed:
    if not node.up:
        return Passed(node.address, None, Block.DOWN.value, node.why or "not looked at yet")
    if state.seen.local_only and node.trust == "found":
        return Passed(node.address, None, "not_trusted")
    cluster = None if node.cluster is None else tables.registry.clusters.get(node.cluster)
    told = {} if cluster is None else cluster.models
    for model in models:
        if model in told:
            detail = told[model].progress or told[model].why
            return Passed(node.address, model, Block.NOT_READY.value, detail)
    return Passed(node.address, models[0], Block.NOT_READY.value, "not placed there")
