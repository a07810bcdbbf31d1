"""`check`: tells whether the file is valid and everything in it answers."""

import json
import os
import sys

import anyio

from exo_supervisor.app import files
from exo_supervisor.app.trial import Finding, try_all
from exo_supervisor.cli.errors import FAILED
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.settings import guarded, load
from exo_supervisor.cli.term import cell, note, say, table

OPEN_PORT = "whoever reaches an Exo port can use and delete its models: keep it inside your network"


def check(arguments: Arguments) -> int:
    """Validate the configuration, and try each node and provider without spending a token."""
    return guarded(lambda: _check(arguments), as_json=arguments.json)


def _check(arguments: Arguments) -> int:
    settings = load(arguments)
    keys, why_off = files.keys(settings.config, os.environ)
    files.token(settings.config, os.environ)  # a service without it would not start
    where = settings.file or "no file: defaults and environment"
    findings = [
        Finding("ok", "config", where),
        *anyio.run(try_all, settings.config, keys, why_off),
    ]
    warnings = sum(each.state == "warn" for each in findings)
    if arguments.json:
        rows = [{"state": each.state, "kind": each.kind, "text": each.text} for each in findings]
        body = {"valid": True, "file": settings.file, "warnings": warnings, "findings": rows}
        say(json.dumps(body))
    else:
        say(table([(each.state, each.kind, cell(each.text)) for each in findings], sys.stdout, {0}))
        total = "no warning" if not warnings else f"{warnings} warning{'s' * (warnings > 1)}"
        say(f"The file is valid; {total}." if settings.file else f"Defaults hold; {total}.")
        if any(each.state == "ok" and each.kind == "node" for each in findings):
            note(OPEN_PORT)
    return FAILED if arguments.strict and warnings else 0
