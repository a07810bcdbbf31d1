"""The verb `version`."""

import json
import os
import sys

from exo_supervisor import __version__
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.running import of_service
from exo_supervisor.cli.term import say
from exo_supervisor.cli.verbs import PROGRAM


def version(arguments: Arguments) -> int:
    """Print our version, the Python and the system it runs on, and the running service's."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    system = os.uname()
    platform = f"{system.sysname} {system.release} {system.machine}"
    status = of_service(arguments, "/supervisor/status") or {}
    told = status.get("version")
    service = told if isinstance(told, str) else None
    if arguments.json:
        body = {"version": __version__, "python": python, "platform": platform}
        say(json.dumps({**body, "service": service}))
        return 0
    say(f"{PROGRAM} {__version__}\nPython {python}, {platform}")
    if service is None:
        say("no service answers")
    elif service == __version__:
        say(f"the running service is {service}, too")
    else:
        say(f"the running service is {service}: restart it to run {__version__}")
    return 0
