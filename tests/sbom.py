"""`python -m tests.sbom`: prints what the service is made of as CycloneDX JSON, from the lock."""

import json
import re
import sys
import tomllib
from pathlib import Path

from exo_supervisor import __version__
from tests.lock import LOCK, ROOT

_ENTRY = re.compile(r"^([a-z0-9.-]+)==([^ ;]+)([^\n]*)\n((?:    --hash=[^\n]+\n)+)", re.MULTILINE)


def bill() -> dict[str, object]:
    """Return the bill of materials; the same lock always gives the same one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": _component(project["name"], __version__, "application")},
        "components": _components(LOCK),
    }


def _components(lock: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for name, version, _, hashes in _ENTRY.findall(lock.read_text(encoding="utf-8")):
        files = [
            {"alg": "SHA-256", "content": each} for each in re.findall(r"sha256:(\w+)", hashes)
        ]
        found.append({**_component(name, version, "library"), "hashes": files})
    return found


def _component(name: str, version: str, kind: str) -> dict[str, object]:
    purl = f"pkg:pypi/{name}@{version}"
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(bill(), indent=1) + "\n")
