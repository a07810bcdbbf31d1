"""What the running service says of itself, for the verbs that also work without one."""

import os

from exo_supervisor.cli.errors import UNREACHABLE, VerbError
from exo_supervisor.cli.http import view
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.client.json_object import Fields, fields
from exo_supervisor.config import where
from exo_supervisor.config.where import NO_KEY


def of_service(arguments: Arguments, path: str) -> Fields | None:
    """Ask the running service for a view; None if none answers, or it does not know of such."""
    try:
        return view(arguments, path)
    except VerbError as error:
        if error.exit_code == UNREACHABLE or "route_not_found" in "".join(error.why):
            return None
        raise


def names_a_file(arguments: Arguments) -> bool:
    """Tell whether a file was named: then that one is meant, whatever the service runs on."""
    return where.named_file(arguments.config, os.environ) is not None


def keys_of(body: Fields) -> dict[str, str]:
    """Say of each provider whether the service has its key, and from where."""
    found = fields(body.get("keys"))
    return {name: _said(origin) if origin else "not set" for name, origin in found.items()}


def _said(origin: object) -> str:
    return NO_KEY if origin == NO_KEY else f"set ({origin})"
