"""`config`: every setting that is in force, where it came from, and whose view that is."""

import json
import os

import msgspec

from exo_supervisor.app import files
from exo_supervisor.cli.errors import VerbError
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.running import keys_of, names_a_file, of_service
from exo_supervisor.cli.settings import guarded, load
from exo_supervisor.cli.term import clean, say
from exo_supervisor.client.json_object import Fields, fields
from exo_supervisor.config.read import Settings
from exo_supervisor.config.render import render
from exo_supervisor.config.schema import Config
from exo_supervisor.config.shown import without_passwords
from exo_supervisor.config.where import NO_KEY
from exo_supervisor.errors import StartError

NO_FILE = "no file: defaults and environment"


def config(arguments: Arguments) -> int:
    """Print every setting and where its value came from: the running service's, if one answers."""
    return guarded(lambda: _config(arguments), as_json=arguments.json)


def _config(arguments: Arguments) -> int:
    body = None if names_a_file(arguments) else of_service(arguments, "/supervisor/config")
    if arguments.json:
        say(json.dumps(_as_seen_here(load(arguments)) if body is None else body))
        return 0
    settings = load(arguments) if body is None else _settings_in(body)
    whose = "as the running service has it" if body else "as this shell sees it"
    say(f"# {settings.file or NO_FILE}; {whose}")
    keys = _keys_set(settings) if body is None else keys_of(body)
    say(clean(render(settings, keys)).rstrip("\n"))
    return 0


def _settings_in(body: Fields) -> Settings:
    """Take the settings out of the service's answer; raises VerbError for another version's."""
    file, origins = body.get("file"), fields(body.get("origins"))
    try:
        config = msgspec.convert(body.get("config"), Config)
    except msgspec.ValidationError:
        raise VerbError(
            "the running service's settings are not those of this version",
            why=["it was started by another one"],
            hint="restart the service; exo-supervisor config --json prints them as they came",
        ) from None
    return Settings(
        config=config,
        origins={key: origin for key, origin in origins.items() if isinstance(origin, str)},
        file=file if isinstance(file, str) else None,
    )


def _as_seen_here(settings: Settings) -> dict[str, object]:
    return {
        "view": "here",
        "file": settings.file,
        "config": msgspec.to_builtins(without_passwords(settings.config)),
        "origins": dict(settings.origins),
    }


def _keys_set(settings: Settings) -> dict[str, str]:
    """Say of each provider whether its key is there, and never what it is."""
    try:
        found = files.keys(settings.config, os.environ)
    except StartError:
        return {}
    said = {name: _many(len(secrets)) for name, secrets in found.keys.items()}
    return said | found.missing | dict.fromkeys(found.why_off, "not set")


def _many(keys: int) -> str:
    return f"{keys} set" if keys > 1 else "set" if keys else NO_KEY
