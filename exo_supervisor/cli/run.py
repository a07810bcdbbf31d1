"""`run`: the service itself."""

import os

from exo_supervisor.app.run import run as run_service
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.settings import guarded


def run(arguments: Arguments) -> int:
    """Run the service until it is told to stop."""
    if arguments.debug:
        os.environ["EXO_SUPERVISOR_LOG__LEVEL"] = "debug"
    return guarded(lambda: run_service(arguments.config, arguments.socket), as_json=arguments.json)
