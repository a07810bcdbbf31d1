"""`python -m tests.lowest`: passes the suite with the oldest versions that pyproject.toml admits.

They are installed into a virtual environment of their own, for the time of the run.
"""

import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
_LOWEST = re.compile(r"([\w.-]+)>=([\d.]+)")


def lowest() -> list[str]:
    """Return what the service needs, each of its oldest version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = project["dependencies"] + project["optional-dependencies"]["otel"]
    found = [_LOWEST.match(each) for each in asked]
    assert all(found), "a dependency says no oldest version"
    return ["{}=={}".format(*told.groups()) for told in found if told is not None]


def main() -> int:
    """Return what the suite returned."""
    with TemporaryDirectory(prefix="lowest-") as home:
        venv.create(home, with_pip=True)
        constraints = Path(home, "lowest.txt")
        constraints.write_text("\n".join(lowest()) + "\n")
        python = f"{home}/bin/python"
        install = [python, "-m", "pip", "install", "-q", "-c", str(constraints), "-e", ".[dev]"]
        subprocess.run(install, cwd=ROOT, check=True)  # noqa: S603 -- our own commands
        suite = [python, "-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider"]
        return subprocess.run(suite, cwd=ROOT, check=False).returncode  # noqa: S603 -- as above


if __name__ == "__main__":
    sys.exit(main())
