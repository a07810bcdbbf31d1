"""The README's blocks, pasted word by word, in order: as a user, then as an operator."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from tests.boot.machine import CLONE, Machine
from tests.boot.terminal import Terminal
from tests.boot.transcript import Told, say
from tests.netns.lan import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
CONFIG = "~/.config/exo-supervisor/supervisor.toml"


def install_what_it_says(terminal: Terminal) -> tuple[str, list[int]]:
    """Install what the README names for Debian, and nothing else."""
    (said,) = re.findall(r"on Debian: `(.*?)`", README)
    terminal.paste("sudo apt-get update -q >/dev/null\n")
    return terminal.paste(f"{said} >/dev/null 2>&1\n")


def of_the_user() -> list[tuple[str, str]]:
    """Return the blocks up to the service's section."""
    return BLOCKS[: _first_of_the_service()]


def of_the_operator() -> list[tuple[str, str]]:
    """Return the blocks of the service's section, and those behind it."""
    return BLOCKS[_first_of_the_service() :]


def _first_of_the_service() -> int:
    return next(at for at, (_, text) in enumerate(BLOCKS) if "/opt/exo-supervisor" in text)


def paste(terminal: Terminal, machine: Machine, kind: str, text: str, told: Told) -> None:
    """Do with a block what a reader does with it, and look at what comes of it."""
    match kind:
        case "sh":
            printed, failed = terminal.paste(text)
            title = text.strip().partition("\n")[0]
            _show(text, printed)
            told(f"pasted: {title}", not failed)
            for wanted, (what, met) in _WANTED.items():
                if wanted in text:
                    told(f"  {what}", met(printed))
        case "toml":
            terminal.paste(f"mkdir -p {CONFIG.rpartition('/')[0]}\n")
            _write(machine, f"/home/alice/{CONFIG.removeprefix('~/')}", text)
        case "python":
            _write(machine, f"{CLONE}/ask.py", text)
        case _:
            return


def _write(machine: Machine, path: str, text: str) -> None:
    target = Path(f"{machine.tree}{path}")
    target.write_text(text, encoding="utf-8")


def _show(text: str, printed: str) -> None:
    say("\n".join(f"$ {line}" for line in text.splitlines()))
    lines = printed.splitlines()
    if len(lines) > _MOST:
        lines = [*lines[: _MOST // 2], "...", *lines[-_MOST // 2 :]]
    say("\n".join(f"  {line}" for line in lines))


_MOST = 40


def _skeleton(text: str) -> list[str]:
    return [re.sub(r"\d+", "0", line).strip()[:28] for line in text.splitlines() if line.strip()]


def _demo(printed: str) -> bool:
    shown = _skeleton(next(text for kind, text in BLOCKS if not kind and "Pretend" in text))
    return _skeleton(printed)[: len(shown)] == shown


def _tests(printed: str) -> bool:
    return re.search(r"\b\d+ passed.* in ", printed) is not None and " failed" not in printed


def _found(printed: str) -> bool:
    return "Exo serves" in printed and "-- Exo " in printed


def _curl(printed: str) -> bool:
    answer = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])
    return answer["choices"][0]["finish_reason"] == "stop"


def _sdk(printed: str) -> bool:
    return len(printed.strip()) > 0 and "Error" not in printed


def _checked(printed: str) -> bool:
    return "The file is valid" in printed and "-- Exo " in printed


def _running(printed: str) -> bool:
    return "active (running)" in printed and "Status: " in printed


_WANTED: dict[str, tuple[str, Callable[[str], bool]]] = {
    ".venv/bin/exo-supervisor demo": ("the demo prints what the README shows", _demo),
    "-m pytest": ("the tests pass", _tests),
    "pipx install": ("the Exo of this host is found, and answers", _found),
    "curl --unix-socket": ("curl gets a whole answer", _curl),
    "ask.py": ("the SDK's example prints an answer", _sdk),
    "exo-supervisor check": ("the file is valid, and its model answers from Exo", _checked),
    "systemctl status": ("the service runs, and systemd shows its own word", _running),
}
