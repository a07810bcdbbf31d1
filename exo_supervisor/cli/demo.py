"""`demo`: a short true story in the terminal, with nothing real but the service."""

import json
import shutil
import signal
from pathlib import Path

import anyio

from exo_supervisor.cli.errors import VerbError
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import cell, remark, say, tint_word
from exo_supervisor.rehearse.stage import MODEL, Stage, set_up
from exo_supervisor.rehearse.story import Step, tell

_BEFORE = "Pretend Exo nodes and a pretend cloud on loopback; the service is the real one."
_AFTER = "Every answer was whole or a clear error."


def demo(arguments: Arguments) -> int:
    """Tell the story; fails unless each step really happened."""
    failed_at, log = anyio.run(_demo, arguments)
    if failed_at is None:
        shutil.rmtree(Path(log).parent, ignore_errors=True)
        return 0
    raise VerbError(f"demo failed at step {failed_at}; its log is {log}")


async def _demo(arguments: Arguments) -> tuple[int | None, str]:
    """Play the story: the number of the step that failed, if one did, and the log's path."""
    steps: list[Step] = []
    if not arguments.json:
        say(_BEFORE)
    async with set_up() as stage:
        async for step in tell(stage):
            steps.append(step)
            if not arguments.json:
                say(f"{step.at:5.1f} s  {tint_word(step.ok)}  {step.name:<16}  {cell(step.text)}")
        ok = all(step.ok for step in steps)
        if arguments.json:
            rows = [
                {"at": step.at, "ok": step.ok, "step": step.name, "text": step.text}
                for step in steps
            ]
            say(json.dumps({"ok": ok, "steps": rows, "socket": stage.socket, "log": stage.log}))
        elif ok:
            say(_AFTER if arguments.keep else f"{_AFTER} Next: exo-supervisor demo --keep")
        if ok and arguments.keep:
            await _keep(stage)
    return None if ok else len(steps), stage.log


async def _keep(stage: Stage) -> None:
    """Stay up until Ctrl-C, and say how to send requests."""
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]})
    remark(f"It stays up until Ctrl-C; its log is {stage.log}. From another terminal:")
    for line in (
        f"exo-supervisor chat --socket {stage.socket} --model {MODEL} Hello",
        f"exo-supervisor status --socket {stage.socket}",
        f"exo-supervisor hud --socket {stage.socket}",
        f"curl --unix-socket {stage.socket} http://localhost/v1/chat/completions -d '{body}'",
    ):
        remark(f"  {line}")
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return
