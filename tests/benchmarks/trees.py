"""The source that is measured: this one or that of a commit before, and the Python that runs it."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from tests.benchmarks.answers import CLOUD_MODEL, EXO_MODEL
from tests.benchmarks.processes import ROOT

SYSTEM = Path("/usr/bin/python3")
"""The distribution's Python, built with a profile: what a service is mostly run by."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "exo-supervisor-bench"
LOG_LEVEL = "info"

MAIN = "import sys; from exo_supervisor.cli import main; sys.exit(main())"
_CONFIG = """
[server]
socket = "{socket}"
[discovery]
static = [{nodes}]
mdns = {listens}
multicast = {listens}
broadcast = "off"
[health]
interval = {interval}
timeout = 10.0
ready_interval = {ready_interval}
# Patient: on a busy machine slowness is measured, no fault.
[timeouts]
connect = 20.0
headers = 60.0
first_content = 60.0
stall = 60.0
[[provider]]
name = "cloud"
base_url = "{upstream}/cloud/v1"
key_env = "BENCHMARK_KEY"
[[provider]]
name = "whole"
base_url = "{upstream}/whole/v1"
key_env = "BENCHMARK_KEY"
[[model]]
name = "from-exo"
exo = "{exo}"
[[model]]
name = "from-cloud"
cloud = ["cloud/{cloud}"]
[[model]]
name = "from-whole"
cloud = ["whole/{cloud}"]
[log]
level = "{level}"
format = "json"
"""


class Tree(Struct, frozen=True):
    """One state of the source and the interpreter for it."""

    name: str
    root: Path
    python: Path

    def command(self, *arguments: str) -> list[str]:
        """Return what the console script does, as a command to run with `environ`."""
        return self.python_command(MAIN, *arguments)

    def python_command(self, code: str, *arguments: str) -> list[str]:
        """Return the command that runs some code; `-P` keeps our own folder out of its path."""
        return [str(self.python), "-P", "-c", code, *arguments]

    def environ(self, home: Path) -> dict[str, str]:
        """Return the variables it runs with; its state goes to a folder of its own."""
        return {
            "PYTHONPATH": str(self.root),
            "STATE_DIRECTORY": str(home / f"{self.name}-state"),
            "BENCHMARK_KEY": "made-up",
            # Off, or each start of an uninstalled tree compiles it anew.
            "PYTHONDONTWRITEBYTECODE": "",
        }


class Setting(Struct, frozen=True):
    """What a service under measurement is configured with."""

    upstream: str
    nodes: tuple[str, ...]
    interval: float = 5.0
    listens: bool = True
    """For nodes that announce themselves."""

    def write(self, config: Path, socket: Path) -> None:
        """Write the file."""
        config.write_text(
            _CONFIG.format(
                socket=socket,
                upstream=self.upstream,
                nodes=",".join(f'"{node}"' for node in self.nodes),
                interval=self.interval,
                ready_interval=2 * self.interval,  # as the defaults have it
                listens=str(self.listens).lower(),
                exo=EXO_MODEL,
                cloud=CLOUD_MODEL,
                level=LOG_LEVEL,
            )
        )


def environment(root: Path) -> Path:
    """Name the folder of the virtual environment with what a tree's lock file lists."""
    lock = hashlib.sha256((root / "requirements.lock").read_bytes()).hexdigest()[:12]
    return CACHE / f"python-{lock}"


def interpreter(root: Path) -> Path:
    """Return the distribution's Python with a tree's dependencies if set up, else our own."""
    found = environment(root) / "bin/python"
    return found if found.exists() else Path(sys.executable)


def this() -> Tree:
    """Return the tree that we stand in."""
    return Tree("ours", ROOT, interpreter(ROOT))


@contextmanager
def before(commit: str, place: Path) -> Generator[Tree]:
    """Check a commit out for as long as the `with` block runs."""
    root = place / "before"
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(root), commit], check=True)  # noqa: S603 -- our own command
    try:
        yield Tree("before", root, interpreter(root))
    finally:
        subprocess.run([*git, "remove", "--force", str(root)], check=True)  # noqa: S603 -- as above
