"""A verb answers at once: it imports what it needs, and that is little."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import TIMEOUT, Service

pytestmark = pytest.mark.real_time
HEAVY = {
    *("aiohttp", "anyio", "msgspec", "structlog", "uvloop", "zeroconf"),
    *("asyncio", "dataclasses", "difflib", "email", "http", "inspect", "pathlib", "ssl"),
    *("subprocess", "threading", "tomllib", "urllib"),
}
"""Each costs more than a verb of its own does, or leads to what does."""
MOST_MODULES = 92
"""Python brings 33 of them itself, and `json` and `typing` 20 more; a verb had 162 once."""
LOOK = "/supervisor/"


@pytest.mark.parametrize("verb", ["version", "status", "nodes", "models", "breaker", "socket"])
@pytest.mark.parametrize("named", [True, False])
def test_a_verb_imports_only_what_it_needs(
    service: Service, tmp_path: Path, verb: str, *, named: bool
) -> None:
    """With the socket named, and with it where a user's own service has it."""
    service.says("GET /supervisor/status", {"ready": True, "advice": ["word " * 30]})
    for body in ("nodes", "models", "breakers"):
        service.says(f"GET /supervisor/{body}", {body: []})
    home = tmp_path / "exo-supervisor"
    home.mkdir()
    (home / "api.sock").symlink_to(service.path)
    (home / "supervisor.toml").write_text('[server]\n# here\nsocket = ""\nsocket_mode = "0660"\n')
    code = (
        "import sys; from exo_supervisor.cli import main; assert main() == 0\n"
        f"sys.exit(', '.join({HEAVY} & set(sys.modules)) or len(sys.modules) > {MOST_MODULES})"
    )
    run = subprocess.run(  # noqa: S603  our own interpreter and words
        [sys.executable, "-c", code, verb, *(["--socket", str(service.path)] if named else [])],
        env={"XDG_RUNTIME_DIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "HOME": "/none"},
        capture_output=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert (run.returncode, run.stderr) == (0, b"")


LATER = {
    *("aiohttp", "zeroconf", "ifaddr"),
    *("email", "importlib.resources", "tempfile", "zipfile", "zoneinfo"),
}
"""What a start has no use for until it serves, if ever; each takes milliseconds and memory."""


def test_a_start_waits_for_nothing_that_is_needed_later() -> None:
    code = (
        "import sys; import exo_supervisor.cli.run\n"
        f"sys.exit(', '.join({LATER} & set(sys.modules)) or 0)"
    )
    run = subprocess.run(  # noqa: S603  our own interpreter and words
        [sys.executable, "-c", code], capture_output=True, check=False, timeout=TIMEOUT
    )
    assert (run.returncode, run.stderr) == (0, b"")
