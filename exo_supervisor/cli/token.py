"""The verb `token`: a new token for the listener, which it does not keep, or those of clients."""

import json
import os
import secrets
import sys

from exo_supervisor.cli.errors import misuse
from exo_supervisor.cli.http import in_path, told
from exo_supervisor.cli.json_view import texts
from exo_supervisor.cli.json_view import word as w
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import clean, note, say, table
from exo_supervisor.client.json_object import Fields, objects
from exo_supervisor.config import where

BYTES = 32
CREDENTIAL = f"{where.SYSTEM_CREDENTIALS}/api-token"
_PATH = "/supervisor/tokens"


def token(arguments: Arguments) -> int:
    """Print a random token, or have the service make, list or end those of its clients."""
    word, name = [*arguments.words, "", ""][:2]
    if arguments.days is not None and word != "new":
        raise misuse("--days belongs to token new", "exo-supervisor token new NAME --days 90")
    if not word:
        return _own(arguments)
    if word not in ("new", "list", "revoke"):
        raise misuse(f"token takes new, list or revoke, got `{word}`", "exo-supervisor token list")
    if word == "list":
        if name:
            raise misuse("token list takes no name", "exo-supervisor token list")
        body = told(arguments, _PATH)
    elif not name:
        raise misuse(f"token {word} wants a client's name", f"exo-supervisor token {word} NAME")
    else:
        query = "" if arguments.days is None else f"?days={arguments.days}"
        body = told(arguments, f"{_PATH}/{in_path(name)}/{word}{query}", "POST")
    if body is not None:
        _tell(word, body)
    return 0


def _tell(word: str, body: Fields) -> None:
    if word == "new":
        say(w(body.get("token")))
        ends = f"until {w(body.get('expires'))}" if body.get("expires") else "until it is revoked"
        if body.get("kept") is False:
            ends += ", or the service restarts: it has no state directory, set HOME"
        note(f"it is shown this once, for client {clean(w(body.get('client')))}; it holds {ends}")
        note(f"undo: exo-supervisor token revoke {clean(w(body.get('id')))}")
        return
    if word == "revoke":
        say("\n".join(f"{clean(each)}: revoked" for each in texts(body.get("revoked"))))
        return
    keys = ("id", "client", "made", "expires")
    made = [[w(each.get(key) or "never") for key in keys] for each in objects(body.get("tokens"))]
    rows = [[key.upper() for key in keys], *made]
    say(table(rows, sys.stdout) if made else "None was made: exo-supervisor token new NAME")


def _own(arguments: Arguments) -> int:
    """Print a random token, and nothing else, on standard output; where to put it on the other."""
    made = secrets.token_urlsafe(BYTES)
    if arguments.json:
        say(json.dumps({"token": made}))
        return 0
    say(made)
    note('it is asked for where server.tcp is set, such as "127.0.0.1:11435"')
    if os.geteuid() == 0:
        note(f"write it to {CREDENTIAL}, which root alone may read, and uncomment")
        note("LoadCredential=api-token:... in the unit: systemctl edit --full exo-supervisor")
    else:
        note("export EXO_SUPERVISOR_TOKEN=... before exo-supervisor run")
    note("clients send it as their API key")
    return 0
