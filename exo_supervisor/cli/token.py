"""The verb `token`: a new token for the loopback listener, which it does not keep."""

import json
import os
import secrets

from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import note, say
from exo_supervisor.config import where

BYTES = 32
CREDENTIAL = f"{where.SYSTEM_CREDENTIALS}/api-token"


def token(arguments: Arguments) -> int:
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
