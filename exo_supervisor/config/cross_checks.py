"""Whether values that are each right also fit together."""

from datetime import date
from typing import cast

from exo_supervisor.config.builder import Builder
from exo_supervisor.config.client_checks import check_clients
from exo_supervisor.config.literal import shown
from exo_supervisor.config.money_checks import check_money
from exo_supervisor.config.network_checks import is_public
from exo_supervisor.config.row_checks import check_names, check_rows
from exo_supervisor.config.similar import similar

_SERVING = ("exo", "cloud", "any_of", "fallback")
"""Keys of which a row needs one."""


def cross_check(builder: Builder, today: date) -> None:
    """Promise a fault in `builder` for each pair of values that contradict each other."""
    _rests(builder)
    _watts(builder)
    _advertise(builder)
    for label in builder.listed("provider"):
        _local(builder, label)
    check_names(builder, "provider")
    check_rows(builder)
    check_clients(builder)
    for label in builder.listed("model"):
        _targets(builder, label)
    check_money(builder, today)


def _rests(builder: Builder) -> None:
    rest = cast("float", builder.get("breaker", "rest"))
    rest_max = cast("float", builder.get("breaker", "rest_max"))
    if rest <= rest_max:
        return
    if "breaker.rest_max" in builder.places:
        key, message = "breaker.rest_max", f"wants at least breaker.rest ({rest}), got {rest_max}"
    else:
        key, message = "breaker.rest", f"wants at most breaker.rest_max ({rest_max}), got {rest}"
    builder.refuse_value(key, f"{key} {message}")


def _watts(builder: Builder) -> None:
    """Refuse nodes that draw less at work than idle: their work would seem to cost nothing."""
    watts, idle = (cast("float", builder.get("power", key)) for key in ("watts", "idle_watts"))
    if 0 < watts < idle:
        key = "power.idle_watts"
        message = f"{key} wants at most power.watts ({watts:g}), got {idle:g}"
        builder.refuse_value(key, message, "it is the part of power.watts that a node draws anyway")


def _advertise(builder: Builder) -> None:
    if not builder.get("discovery", "advertise") or builder.get("server", "tcp"):
        return
    key = "discovery.advertise"
    refused = any(fault.key == "server.tcp" for fault in builder.faults)
    if not refused:
        message = f"{key} has nothing to announce: server.tcp opens no listener"
        builder.refuse_value(key, message, 'set server.tcp, for example to "127.0.0.1:11435"')


def _local(builder: Builder, label: str) -> None:
    """Refuse a provider of the house whose way leads out of it; a name is asked for later."""
    if not builder.get(label, "local"):
        return
    key = f"{label}.local"
    if builder.get(label, "proxy"):
        message = "provider.local is of the house, and provider.proxy leads out of it"
        builder.refuse_value(key, message, "remove one of them")
    if any(cast("dict[str, float]", builder.get(label, "budget") or {}).values()):
        message = "provider.local is of the house, which nobody pays: it has no provider.budget"
        builder.refuse_value(key, message, "remove one of them")
    url = str(builder.get(label, "base_url") or "")
    ranges = cast("tuple[str, ...]", builder.get("discovery", "ranges"))
    if is_public(url, ranges):
        message = "provider.local is of the house, and its base_url is a public address"
        hint = "if it stands in yours, add its network to discovery.ranges"
        builder.refuse_value(key, message, hint)


def _targets(builder: Builder, label: str) -> None:
    given = builder.values[label]
    refused = {fault.key.partition(f"{label}.")[2].partition("[")[0] for fault in builder.faults}
    if not any(given.get(key) for key in _SERVING) and not refused & {*_SERVING}:
        message = "[[model]] names neither `exo` nor `cloud`, so nothing can serve it"
        hint = 'for example cloud = ["openrouter/meta-llama/llama-3.2-3b-instruct"]'
        builder.refuse(builder.tables[label], label, "bad_value", message, hint)
    for key in ("keep", "on_demand"):
        if given.get(key) and not given.get("exo") and "exo" not in refused:
            message = f"model.{key} places a model on Exo, and this [[model]] names no `exo`"
            hint = 'for example exo = "mlx-community/Llama-3.2-3B-Instruct-4bit"'
            builder.refuse_value(f"{label}.{key}", message, hint)
    for index, entry in enumerate(cast("tuple[str, ...]", given.get("cloud", ()))):
        _cloud(builder, f"{label}.cloud", index, entry)


def _cloud(builder: Builder, key: str, index: int, entry: str) -> None:
    provider, slash, model = entry.partition("/")
    if slash and model and provider in builder.provider_names:
        return
    if not (slash and model and provider):
        message = f"model.cloud[{index}] wants PROVIDER/MODEL, got {shown(entry)}"
        hint = 'for example "openrouter/meta-llama/llama-3.2-3b-instruct"'
    else:
        message = f"model.cloud[{index}] begins with no provider's name, got {shown(entry)}"
        hint = similar(
            provider, builder.provider_names, "name", "add the [[provider]] of that name"
        )
    builder.refuse_value(key, message, hint, index)
