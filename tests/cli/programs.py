"""Does each program take the file that `connect` wrote? `python -m tests.cli.programs`.

They are asked themselves, wherever they are on PATH (in $NODE_PATH for Continue's own parser); one
that is not there is named. Each must show our model out of its file, and no more once the file was
taken back, or it does not read what we wrote.

    npm install @openai/codex opencode-ai @continuedev/config-yaml @earendil-works/pi-coding-agent
    pip install llm aider-chat
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from shutil import which
from typing import NamedTuple

MODEL = "house-model"
_AIDER = """
import sys
from aider.args import get_parser
print(get_parser([sys.argv[1]], None).parse_args([]).model)
"""
_CONTINUE = """
const { parseConfigYaml } = require("@continuedev/config-yaml");
const text = require("fs").readFileSync(process.argv[1], "utf8");
console.log(parseConfigYaml(text).models.map((each) => each.model).join());
"""


class Program(NamedTuple):
    """One that is asked what its file says; `shows` stands in its answer."""

    needs: str
    asks: tuple[str, ...]
    file: str = ""
    shows: str = MODEL


PROGRAMS: Mapping[str, Program] = {
    "codex": Program("codex", ("codex", "doctor", "--json")),
    "opencode": Program("opencode", ("opencode", "models")),
    "pi": Program("pi", ("pi", "--list-models")),
    "llm": Program("llm", ("llm", "models", "list")),
    "aider": Program("aider", ("PYTHON", "-c", _AIDER), ".aider.conf.yml"),
    "continue": Program("node", ("node", "-e", _CONTINUE), ".continue/config.yaml"),
}


def main() -> int:
    """Ask each; fails if one of them did not take its file."""
    failed = [name for name, program in PROGRAMS.items() if not _check(name, program)]
    return bool(failed)


def _check(name: str, program: Program) -> bool:
    found = which(program.needs)
    if found is None:
        print(f"{name}: not here")  # noqa: T201 - what it is for
        return True
    with tempfile.TemporaryDirectory(prefix="exo-connect-", dir=Path.cwd()) as folder:
        home = Path(folder)
        (home / "supervisor.toml").write_text('[server]\ntcp = "127.0.0.1:11435"\n')
        file = (str(home / program.file),) if program.file else ()
        python = str(Path(found).resolve().with_name("python"))
        asks = [python if word == "PYTHON" else word for word in (*program.asks, *file)]
        _connect(home, name, "--write", "--model", MODEL)
        taken = _said(home, asks)
        _connect(home, name, "--undo")
        left = _said(home, asks)
    ok = program.shows in taken and program.shows not in left
    print(f"{name}: {'takes its file' if ok else 'FAILED: ' + taken[-2000:] + left[-500:]}")  # noqa: T201
    return ok


def _connect(home: Path, *words: str) -> None:
    argv = [sys.executable, "-m", "exo_supervisor", "connect", *words]
    subprocess.run(argv, env=_environ(home), check=True, capture_output=True)  # noqa: S603


def _said(home: Path, asks: list[str]) -> str:
    run = subprocess.run(  # noqa: S603 - the programs above
        asks, env=_environ(home), cwd=home, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False, timeout=300,
    )  # fmt: skip
    return run.stdout + run.stderr


def _environ(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "NODE_PATH") if name in os.environ}
    config = str(home / "supervisor.toml")
    ours = {"EXO_SUPERVISOR_TOKEN": "a-token", "EXO_SUPERVISOR_CONFIG": config}
    return {**kept, **ours, "HOME": str(home), "PYTHONPATH": str(Path.cwd())}


if __name__ == "__main__":
    sys.exit(main())
