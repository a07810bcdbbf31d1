"""`check`: tells whether the file is valid and everything in it answers, and who says so."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import msgspec

from exo_supervisor.app import files
from exo_supervisor.app.policy import fields_of, policy_of
from exo_supervisor.app.trial import Finding, try_all
from exo_supervisor.app.who import client_tokens, who_of
from exo_supervisor.cli.books import budget, torn
from exo_supervisor.cli.errors import FAILED
from exo_supervisor.cli.json_view import parse_object, texts, word
from exo_supervisor.cli.money import of_money
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.running import keys_of, names_a_file, of_service
from exo_supervisor.cli.settings import guarded, load
from exo_supervisor.cli.term import cell, note, say, table
from exo_supervisor.client.json_object import Fields, fields, objects
from exo_supervisor.config import where
from exo_supervisor.config.read import Settings
from exo_supervisor.config.shown import without_passwords
from exo_supervisor.core.requests.rows import Rows
from exo_supervisor.host.permissions import SERVICE_USER, unreadable_for
from exo_supervisor.wire.anthropic.outbound import unsaid
from exo_supervisor.wire.chat.body import demands_of
from exo_supervisor.wire.exo.traits import PEERS

OPEN_PORT = "whoever reaches an Exo port can use and delete its models: keep it inside your network"
SEEDS = "discovery.static"
NO_SERVICE = Finding("off", "service", "none answers; one that runs also finds nodes on your LAN")
_DOWN = {"seen", "down", "-"}


def check(arguments: Arguments) -> int:
    """Validate the file, and tell of each node and provider; it spends no token.

    The running service is asked first: it has other keys than this shell, and finds nodes.
    """
    return guarded(lambda: _check(arguments), as_json=arguments.json)


def _check(arguments: Arguments) -> int:
    settings = load(arguments)
    named = names_a_file(arguments)
    running = None if named else of_service(arguments, "/supervisor/config")
    findings = list(_on_the_file(arguments, settings, running))
    if running is not None:
        findings += _of_service(arguments, running)
    else:
        findings += [] if named else [NO_SERVICE]
        findings += _try_here(settings)
    warnings = sum(each.state == "warn" for each in findings)
    if arguments.json:
        body = {"valid": True, "file": settings.file, "warnings": warnings}
        say(json.dumps({**body, "findings": msgspec.to_builtins(findings)}))
    else:
        _tell(findings, settings, warnings)
    return FAILED if arguments.strict and warnings else 0


def _tell(findings: list[Finding], settings: Settings, warnings: int) -> None:
    rows = [(each.state, each.kind, f"{each.by}:", cell(each.text)) for each in findings]
    say(table(rows, sys.stdout, {0}))
    total = "no warning" if not warnings else f"{warnings} warning{'s' * (warnings > 1)}"
    say(f"The file is valid; {total}." if settings.file else f"Defaults hold; {total}.")
    if any(each.state == "ok" and each.kind == "node" for each in findings):
        note(OPEN_PORT)


def _on_the_file(
    arguments: Arguments, settings: Settings, running: Fields | None
) -> Iterator[Finding]:
    yield Finding("ok", "config", settings.file or "no file: defaults and environment")
    if settings.file is not None and os.geteuid() == 0:
        hidden = unreadable_for(SERVICE_USER, Path(settings.file))
        if hidden is not None:
            text = f"the user {SERVICE_USER} may not read {hidden}: chmod a+r, or give it its group"
            yield Finding("warn", "config", text)
    yield from _on_the_rows(settings)
    yield from of_money(settings.config, running=running is not None)
    if running is None:
        return
    file = running.get("file")
    if file is None and settings.file is not None and _is_meant_for_it(arguments, settings.file):
        text = "it runs on no file: restart it, and it takes this one"
        yield Finding("warn", "config", text, "service")
    elif file != settings.file:
        theirs = word(file) if file else "no file"
        yield Finding("ok", "config", f"it runs on {theirs}", "service")
    elif file is not None and (changed := _changed(settings, running)):
        text = f"the file has changed since it started ({', '.join(changed[:3])}): restart it"
        yield Finding("warn", "config", text, "service")
        if "server.tcp" in changed:
            yield from _on_the_token(settings)


def _on_the_rows(settings: Settings) -> Iterator[Finding]:
    """Warn of a row whose requests do not go where it says that they may.

    So it is where it fills in what no Exo does or Messages have no word for, and where a row on
    its way keeps them in the house.
    """
    rules = policy_of(settings.config, {}).models
    rows = Rows(rules)
    for rule in rules:
        if not rule.local_only and rows.is_local(rule) and any(x.cloud for x in rows.chain(rule)):
            why = "a row on its way is local_only"
            text = f"{rule.name}, none of its requests leaves the house: {why}"
            yield Finding("warn", "model", text)
    messages = {each.name for each in settings.config.providers if each.dialect == "anthropic"}
    for model in settings.config.models:
        asked = messages.intersection(entry.partition("/")[0] for entry in model.cloud)
        if asked and (lost := unsaid(fields_of(model))):
            who = ", ".join(sorted(asked))
            text = f"its defaults ask for {', '.join(lost)}, which the Messages of {who}"
            yield Finding("warn", "model", f"{model.name}, {text} have no word for")
        ignored = sorted(demands_of(fields_of(model)) & PEERS["C"].ignored)
        if model.exo and ignored:
            text = f"{model.name}, its defaults ask for {', '.join(ignored)}, which no Exo does"
            yield Finding("warn", "model", text)


def _on_the_token(settings: Settings) -> Iterator[Finding]:
    """Warn of a new TCP listener without a token that we can see: such a service does not start."""
    try:
        files.token(settings.config, os.environ)
    except files.CredentialError as fault:
        yield Finding("warn", "config", f"unless the service has it, it will not start: {fault}")


def _is_meant_for_it(arguments: Arguments, file: str) -> bool:
    """Tell whether the service that answers would read a file: the system's, or a person's own."""
    sockets = (of_service(arguments, "/supervisor/status") or {}).get("sockets")
    return (where.SYSTEM_SOCKET in texts(sockets)) == (file == where.SYSTEM_FILE)


def _changed(settings: Settings, running: Fields) -> list[str]:
    """Name the keys that the file now has otherwise; a variable or a flag is no change of it."""
    ours = parse_object(msgspec.json.encode(without_passwords(settings.config)))
    theirs, origins = fields(running.get("config")), fields(running.get("origins"))
    of_file = ("default", str(settings.file))
    return [
        key
        for key in sorted({*settings.origins, *origins})
        if str(settings.origins.get(key, "default")).startswith(of_file)
        and str(origins.get(key, "default")).startswith(of_file)
        and _value(ours, key) != _value(theirs, key)
    ]


def _value(config: Fields, key: str) -> object:
    """Return what stands at `health.interval` or `provider[0].name`; None where nothing does."""
    label, _, name = key.rpartition(".")
    table, _, index = label.rstrip("]").partition("[")
    value = config.get(table)
    if index:
        listed = objects(value)
        value = listed[int(index)] if int(index) < len(listed) else None
    return fields(value).get(name)


def _try_here(settings: Settings) -> list[Finding]:
    keys = files.keys(settings.config, os.environ)
    # A service without its token, or with a client who is nobody, would not start.
    files.token(settings.config, os.environ)
    client_tokens(settings.config, os.environ)
    who_of(settings.config, policy_of(settings.config, {}).clients)
    unasked = settings.origins.get(SEEDS) == "default"
    optional = settings.config.discovery.static if unasked else ()

    async def tried() -> list[Finding]:
        return await try_all(settings.config, keys, optional=optional)

    return anyio.run(tried)


def _of_service(arguments: Arguments, running: Fields) -> Iterator[Finding]:
    status = of_service(arguments, "/supervisor/status") or {}
    ready = status.get("ready") is True
    text = f"{word(status.get('version'))}, {word(status.get('summary'))}"
    yield Finding("ok" if ready else "warn", "service", text, "service")
    unasked = fields(running.get("origins")).get(SEEDS) == "default"
    for node in objects((of_service(arguments, "/supervisor/nodes") or {}).get("nodes")):
        yield _node(node, unasked=unasked)
    keys = keys_of(running)
    for each in objects(status.get("providers")):
        name, state, why = word(each.get("name")), word(each.get("state")), each.get("why")
        text = f"{name} {state}, key {keys.get(name, 'not set')}" + (f", {why}" if why else "")
        odd = "off" if state == "off" else "warn"
        level = "ok" if state == "ready" and not why else odd
        yield Finding(level, "provider", text, "service")
    for each in objects(status.get("budgets")):
        yield Finding("warn" if each.get("why") else "ok", "budget", budget(each), "service")
    if stopped := texts(fields(status.get("ledger")).get("stopped")):
        yield Finding("warn", "ledger", f"nothing is booked: {stopped[0]}", "service")
    if earlier := torn(fields(status.get("ledger"))):
        text = f"{earlier}; move it away once you have read it"
        yield Finding("warn", "ledger", text, "service")
    for model in objects((of_service(arguments, "/supervisor/models") or {}).get("models")):
        for place in objects(model.get("where")):
            if "does not list" in (why := word(place.get("why"))):
                yield Finding("warn", "model", f"{word(model.get('id'))}, {why}", "service")
    if (where := running.get("token")) is not None:
        yield Finding("ok", "config", f"server.tcp asks for the token of {word(where)}", "service")


def _node(node: Fields, *, unasked: bool) -> Finding:
    address, rung, why = word(node.get("id")), word(node.get("rung")), node.get("why")
    models = sum(model.get("ready") is True for model in objects(node.get("models")))
    if rung == "ready":
        generation = word(node.get("generation"))
        text = f"{address}, generation {generation}, {models} model{'s' * (models != 1)} ready"
        return Finding("ok", "node", text, "service")
    text = f"{address} {rung}" + (f", {why}" if why else "")
    if rung not in _DOWN:
        return Finding("ok", "node", text, "service")
    missed = not (unasked and address.startswith("127."))
    return Finding("warn" if missed else "off", "node", text, "service")
