"""The service in a process of its own, which tells on SIGUSR1 how many tasks it has."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from exo_supervisor.cli import main

TASKS = "EXO_SOAK_TASKS"
"""The variable that names the file to tell it in."""


def _tell(_number: int, _frame: object) -> None:
    count = len(asyncio.all_tasks(asyncio.get_running_loop()))
    Path(os.environ[TASKS]).write_text(str(count), encoding="ascii")


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _tell)
    sys.exit(main())
