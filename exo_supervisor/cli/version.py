"""The verb `version`."""

import json
import os
import sys

from exo_supervisor import __version__
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import say
from exo_supervisor.cli.verbs import PROGRAM


def version(arguments: Arguments) -> int:
    """Print our version, and the Python and the system that it runs on."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    system = os.uname()
    platform = f"{system.sysname} {system.release} {system.machine}"
    if arguments.json:
        say(json.dumps({"version": __version__, "python": python, "platform": platform}))
    else:
        say(f"{PROGRAM} {__version__}\nPython {python}, {platform}")
    return 0
