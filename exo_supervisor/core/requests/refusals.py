"""What a client is told when its request was tried in vain, or goes nowhere at all."""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil, inf

from msgspec import structs

from exo_supervisor.core.names import Address, Target
from exo_supervisor.core.near_names import similar_clause
from exo_supervisor.core.outcomes import TELLING, VERDICTS, Failure, Fault, Next, Refusal, RefusedAs
from exo_supervisor.core.requests.candidate import Candidate
from exo_supervisor.core.requests.candidates import Block, Seen
from exo_supervisor.core.requests.request import RequestState, candidates_of
from exo_supervisor.core.requests.spending import over_budget
from exo_supervisor.core.tables import Tables

SHORT = 80
"""Characters of a client's own model name that an error repeats, at most."""
MAX_WORDS = 120
"""Characters of one target's own words that an error about several repeats, at most."""
MAX_TOLD = 6
"""Attempts that an error tells of: the first ones."""
KEPT = frozenset({400, 413, 422})
"""Statuses of an upstream that a client gets as they are."""

_NO_FAILURE = frozenset({Fault.BUSY, Fault.NOT_PLACED, Fault.BAD_KEY})
"""Faults after which the same request would be served later, or with another key."""


DEADLINE = Refusal(504, "deadline", "the deadline passed before an answer began")
NO_ROOM = Refusal(
    503, "overloaded", "the answers of other requests take all the room there is", retry_after=1.0
)
EMBEDDINGS = "embeddings"
KINDS = frozenset({EMBEDDINGS, "completions"})
"""Demands for another kind of answer than a chat's, which no Exo gives."""
_OTHERS = "a provider of your own does (Ollama, llama.cpp, vLLM, infinity)"
MUST_STAY = Refusal(
    403,
    "privacy",
    "this request must not leave this network, and only a cloud provider could serve it",
)
POISON = Refusal(
    502, "poison_request", "two targets failed this request alike: the request itself seems to kill"
)


def fail(state: RequestState, tables: Tables, now: float) -> Refusal:
    """Say why nobody served a request."""
    if state.rejected is not None:
        return rejected(*state.rejected)
    faults = {fault for _, fault in state.faults}
    name = short(state.route.name)
    gone = faults == {Fault.NOT_PLACED} or (not faults and set(state.reasons) == {Block.NOT_READY})
    if gone and not state.route.known:
        text = f"the provider has no such model as {name!r}" + _brackets(_words(state))
        return Refusal(404, "model_not_found", text, param="model")
    unlisted = list(_unlisted(state, tables))
    if unlisted and faults <= {Fault.NOT_PLACED} and all(unlisted):
        return Refusal(404, "model_not_found", "; ".join(unlisted), param="model")
    tried = tell_attempts(state)
    busy = Fault.BUSY in faults or Block.BUSY in state.reasons
    if Block.BUDGET in state.reasons and not busy:
        return over_budget(state.event, state.tiers, tables, now, counted=state.seen.counted)
    if faults - _NO_FAILURE:
        return Refusal(502, "attempts_failed", f"every attempt for {name!r} failed ({tried})")
    retry_after = _retry_after(state, tables, now)
    if Fault.BUSY in faults or set(state.reasons) == {Block.BUSY}:
        text = f"every target of {name!r} is busy" + _brackets(tried)
        return Refusal(503, "overloaded", text, retry_after=retry_after)
    blocks = set(state.reasons)
    if blocks == {Block.FIELD}:
        return unfit(state.seen, name)
    why = ", ".join(sorted({reason.value for reason in blocks})) or "no target is configured"
    if state.seen.local_only:
        text = f"no Exo node can serve {name!r} now ({why}), and it must not leave this network"
        if (found := _only_found(state, tables)) is not None:
            text += f"; {found} could, but is only found: exo-supervisor nodes trust {found}"
        return Refusal(503, "local_only_unavailable", text, retry_after=retry_after)
    keys = _refused_keys(state, tables, now)
    ignored = _ignored(state.seen) if Block.FIELD in blocks else ""
    lasting = "".join(f"; {said}" for said in (ignored, tried, *keys, *unlisted) if said)
    text = f"nothing can serve {name!r} now ({why}){lasting}"
    return Refusal(503, "no_target", text, retry_after=retry_after)


def over(state: RequestState, target: Target, failure: Failure) -> Refusal | None:
    """Take in what a target said, and end the request where nobody else is to be asked."""
    fault, verdict = failure.fault, VERDICTS[failure.fault]
    if failure.message:
        state.words[target] = failure.message
    if fault in TELLING:
        said = _status_of(fault, failure.status), failure.message
        state.rejected = state.rejected or said
        if verdict.next is Next.NOWHERE:
            return rejected(*said)
    return POISON if verdict.in_band and state.is_poison() else None


def rejected(status: int, message: str) -> Refusal:
    """Hand on what a target said of the request itself."""
    return Refusal(status, "upstream_rejected", message or "the target refused it without a word")


def _status_of(fault: Fault, status: int) -> int:
    """Choose a client's status: a target's own, where it is the request that was refused.

    That a provider wants more money or has no such tool is a 402 or a 404 between it and us.
    """
    return status if status in KEPT or (fault is Fault.REJECTED and status) else 400


def tell_attempts(state: RequestState) -> str:
    """Name the targets that were tried, the fault of each, and its own words where it has any."""
    told = [
        f"{target}: {fault.value}{_brackets(state.words.get(target, '')[:MAX_WORDS])}"
        for target, fault in state.faults[:MAX_TOLD]
    ]
    more = len(state.faults) - len(told)
    return ", ".join(told) + (f", and {more} more" if more > 0 else "")


def _words(state: RequestState) -> str:
    return next(iter(state.words.values()), "")


def _brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _unlisted(state: RequestState, tables: Tables) -> Iterator[str]:
    """Say of each place where the model may be asked for that it is not listed, where it is not."""
    for tier in state.tiers:
        for model in tier.models:
            yield "" if tier.provider is None else tables.clouds.unlisted(tier.provider, model)


def unfit(seen: Seen, name: str) -> Refusal:
    """Name the fields that no target of a model takes."""
    if seen.demands & KINDS:
        text = f"no target of {name!r} serves {min(seen.demands)}"
        return advised(Refusal(400, "unsupported_field", text, param="model"), seen.demands)
    if seen.event.hazards:
        fields = ", ".join(sorted(seen.event.hazards))
        text = f"Exo would die of the value of {fields}, and {name!r} stands nowhere else: mend it"
        return Refusal(400, "unsupported_field", text, param=min(seen.event.hazards))
    fields = ", ".join(sorted(seen.demands))
    text = f"no target of {name!r} honours {fields}: leave it out, or use another model"
    return Refusal(400, "unsupported_field", text, param=min(seen.demands))


def _ignored(seen: Seen) -> str:
    """Name the fields for which targets were passed over that might serve without them."""
    fields = sorted({*seen.event.hazards, *seen.demands})
    return f"who does not take {', '.join(fields)} was not asked"


def _refused_keys(state: RequestState, tables: Tables, now: float) -> Iterator[str]:
    """Name the providers that are left alone because of their key, and say in their words why."""
    tried = {target for target, _ in state.faults}
    for tier in state.tiers:
        provider = None if tier.provider is None else tables.clouds.get(tier.provider)
        if provider is None or provider.state(now) != "bad_key" or tier.provider in tried:
            continue
        yield f"{tier.provider}: bad_key{_brackets(provider.key_why()[:MAX_WORDS])}"


def _only_found(state: RequestState, tables: Tables) -> Address | None:
    """Name a node that could serve what must stay in the house, if a person trusted it."""
    models = [model for tier in state.tiers if tier.provider is None for model in tier.models]
    nodes, where = tables.registry.nodes, tables.registry.where_placed
    ready = (cluster for model in models for cluster, placed in where(model) if placed.ready)
    members = (nodes[member] for cluster in ready for member in cluster.members)
    return next((node.address for node in members if node.up and node.trust == "found"), None)


def _retry_after(state: RequestState, tables: Tables, now: float) -> float:
    """Tell when asking again makes sense: the soonest that was said, else the next look."""
    soonest = min(
        (
            ends
            for tier in state.tiers
            for candidate in candidates_of(state, tier, tables, every=False)
            if (ends := _rest_ends(candidate, tables)) is not None and ends > now
        ),
        default=now + tables.policy.ready_interval,
    )
    return float(max(1, ceil(soonest - now)))


def _rest_ends(candidate: Candidate, tables: Tables) -> float | None:
    """Tell when a target and its model have both rested, and no mark keeps anybody away."""
    ends = [tables.breakers.rest_ends(key) for key in candidate.guards]
    mark = tables.busy.get(candidate.slot)
    ends.append(None if mark is None else mark.until)
    last = max((end for end in ends if end is not None), default=-inf)
    return None if last == -inf else last


def not_found(
    name: str, similar: Sequence[str], placeable: Sequence[str], ready: Iterable[str]
) -> Refusal:
    """Say that nobody has this model, which names come near, and what is ready instead."""
    text = f"no node and no provider has the model {short(name)!r}"
    text += similar_clause(similar) + similar_clause(placeable, "Exo could place")
    return Refusal(404, "model_not_found", text + _ready(ready), param="model")


def advised(refusal: Refusal, demands: frozenset[str]) -> Refusal:
    """Add who serves what no Exo does, where that was asked for."""
    kinds = demands & KINDS
    if not kinds:
        return refusal
    text = f"{refusal.message}; Exo serves no {min(kinds)}: {_OTHERS}"
    return structs.replace(refusal, message=text)


def not_placed(name: str, ready: Iterable[str]) -> Refusal:
    """Say that Exo knows this model but runs it nowhere, and what is ready instead."""
    name = short(name)
    text = f"Exo knows {name!r} but no node runs it: exo-supervisor models place {name}"
    return Refusal(404, "model_not_placed", text + _ready(ready), param="model")


def _ready(models: Iterable[str]) -> str:
    return similar_clause(sorted(models)[:3], "ready now")


def end_of(code: str, attempts: int) -> RefusedAs:
    """Say what an error is: what the client asked for wrongly is no failure of ours.

    Decided here alone: the log line takes it from the refusal, and counts from the log line.
    """
    if code == "deadline":
        return "abandoned"
    if code == "upstream_rejected":
        return "neutral"
    return "failure" if attempts and code != "model_not_found" else "refused"


def short(name: str) -> str:
    """Cut a client's own name to what an error may repeat."""
    return name if len(name) <= SHORT else name[:SHORT] + "..."
