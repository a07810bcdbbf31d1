"""`config`: every setting that is in force, and where it came from."""

import json
import os

import msgspec

from exo_supervisor.app import files
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.settings import guarded, load
from exo_supervisor.cli.term import clean, say
from exo_supervisor.config import Settings, render
from exo_supervisor.errors import StartError


def config(arguments: Arguments) -> int:
    """Print every setting and where its value came from."""
    return guarded(lambda: _config(arguments), as_json=arguments.json)


def _config(arguments: Arguments) -> int:
    settings = load(arguments)
    if arguments.json:
        body = {
            "file": settings.file,
            "config": msgspec.to_builtins(settings.config),
            "origins": dict(settings.origins),
        }
        say(json.dumps(body))
        return 0
    say(f"# {settings.file or 'no file: defaults and environment'}")
    say(clean(render(settings, _keys_set(settings))).rstrip("\n"))
    return 0


def _keys_set(settings: Settings) -> dict[str, str]:
    """Say of each provider whether its key is there, and never what it is."""
    try:
        found, why_off = files.keys(settings.config, os.environ)
    except StartError:
        return {}
    return dict.fromkeys(found, "set") | dict.fromkeys(why_off, "not set")
