"""Prints which client does what before which target: `python -m tests.app.clients`.

It fails if a cell is not as it should be. `pip install litellm` for the rows of LiteLLM, which is
no dependency of any kind: it brings thirty others.
"""

import sys

import anyio
from blockbuster import blockbuster_ctx

from tests.app.clients.cells import CELLS, CLIENTS, MISSING, TARGETS, run

FIRST, WIDTH = 36, 15


def main() -> int:
    """Play each client before each target; print a line a pair, and then what went wrong."""
    wrong: list[str] = []
    _print(_line("client, target", list(CELLS)))
    for client in [each for each in CLIENTS if each not in MISSING]:
        for target in TARGETS:
            with blockbuster_ctx("exo_supervisor"):
                came = anyio.run(run, client, target)
            pair = f"{client}, {target}"
            _print(_line(pair, ["FAIL" if came[name] else "ok" for name in CELLS]))
            wrong += [f"{pair}: {name}: {why}" for name, why in came.items() if why]
    _print(*(f"{client}: {why}" for client, why in MISSING.items()), *wrong)
    return int(bool(wrong))


def _line(name: str, cells: list[str]) -> str:
    return name.ljust(FIRST) + "".join(cell.ljust(WIDTH) for cell in cells)


def _print(*lines: str) -> None:
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in lines))


sys.exit(main())
