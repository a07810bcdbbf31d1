"""The verb `socket`: where the service is, for programs that want to be told."""

import json

from exo_supervisor.cli.locate import find
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import clean, say


def socket(arguments: Arguments) -> int:
    """Print the path of the socket at which a service answers, and nothing else."""
    path = find(arguments)
    say(json.dumps({"socket": path}) if arguments.json else clean(path))
    return 0
