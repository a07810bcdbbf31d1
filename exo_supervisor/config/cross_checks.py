"""Whether values that are each right also fit together."""

from difflib import get_close_matches
from typing import cast

from exo_supervisor.config.builder import Draft
from exo_supervisor.config.literal import shown


def agree(draft: Draft) -> None:
    """Promise a fault in `draft` for each pair of values that contradict each other."""
    _rests(draft)
    _advertise(draft)
    _names(draft, "provider")
    _names(draft, "model")
    for label in draft.listed("model"):
        _targets(draft, label)


def _rests(draft: Draft) -> None:
    rest = cast("float", draft.get("breaker", "rest"))
    rest_max = cast("float", draft.get("breaker", "rest_max"))
    if rest <= rest_max:
        return
    if at := draft.places.get("breaker.rest_max"):
        key, message = "breaker.rest_max", f"wants at least breaker.rest ({rest}), got {rest_max}"
    else:
        at = draft.places["breaker.rest"]
        key, message = "breaker.rest", f"wants at most breaker.rest_max ({rest_max}), got {rest}"
    draft.refuse(at(None), key, "bad_value", f"{key} {message}")


def _advertise(draft: Draft) -> None:
    if not draft.get("discovery", "advertise") or draft.get("server", "tcp"):
        return
    key = "discovery.advertise"
    refused = any(fault.key == "server.tcp" for fault in draft.faults)
    if not refused:
        message = f"{key} has nothing to announce: server.tcp opens no listener"
        hint = 'set server.tcp, for example to "127.0.0.1:11435"'
        draft.refuse(draft.places[key](None), key, "bad_value", message, hint)


def _names(draft: Draft, table: str) -> None:
    first: dict[object, str] = {}
    for label in draft.listed(table):
        key = f"{label}.name"
        at = draft.places.get(key)
        if at is None:
            continue
        name = draft.get(label, "name")
        earlier = first.setdefault(name, key)
        if earlier != key:
            line = draft.places[earlier](None).line
            hint = f"first on line {line}" if line else "rename one of them"
            message = f"{table}.name {shown(name)} is given twice"
            draft.refuse(at(None), key, "bad_value", message, hint)


def _targets(draft: Draft, label: str) -> None:
    given = draft.values[label]
    refused = {fault.key.partition(f"{label}.")[2].partition("[")[0] for fault in draft.faults}
    if not given.get("exo") and not given.get("cloud") and not refused & {"exo", "cloud"}:
        message = "[[model]] names neither `exo` nor `cloud`, so nothing can serve it"
        hint = 'for example cloud = ["openrouter/meta-llama/llama-3.2-3b-instruct"]'
        draft.refuse(draft.tables[label], label, "bad_value", message, hint)
    for key in ("keep", "on_demand"):
        if given.get(key) and not given.get("exo") and "exo" not in refused:
            message = f"model.{key} places a model on Exo, and this [[model]] names no `exo`"
            hint = 'for example exo = "mlx-community/Llama-3.2-3B-Instruct-4bit"'
            draft.refuse(
                draft.places[f"{label}.{key}"](None), f"{label}.{key}", "bad_value", message, hint
            )
    for index, entry in enumerate(cast("tuple[str, ...]", given.get("cloud", ()))):
        _cloud(draft, f"{label}.cloud", index, entry)


def _cloud(draft: Draft, key: str, index: int, entry: str) -> None:
    provider, slash, model = entry.partition("/")
    if slash and model and provider in draft.provider_names:
        return
    if not (slash and model and provider):
        message = f"model.cloud[{index}] wants PROVIDER/MODEL, got {shown(entry)}"
        hint = 'for example "openrouter/meta-llama/llama-3.2-3b-instruct"'
    else:
        message = f"model.cloud[{index}] begins with no provider's name, got {shown(entry)}"
        near = get_close_matches(provider, draft.provider_names, n=1)
        hint = f"similar name: `{near[0]}`" if near else "add the [[provider]] of that name"
    draft.refuse(draft.places[key](index), f"{key}[{index}]", "bad_value", message, hint)
