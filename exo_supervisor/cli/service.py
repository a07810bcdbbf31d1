"""The verbs that are the service itself: `run`, `check`, `config` and `demo`."""

from exo_supervisor.app.run import run as run_service
from exo_supervisor.cli.parse import Arguments


def run(arguments: Arguments) -> int:
    """Run the service until it is told to stop."""
    return run_service(arguments)


def check(arguments: Arguments) -> int:
    """Validate the configuration, and try each node and provider without spending a token."""
    return 1


def config(arguments: Arguments) -> int:
    """Print every setting and where its value came from."""
    return 1


def demo(arguments: Arguments) -> int:
    """Tell the short true story with pretend nodes and a pretend cloud."""
    return 1
