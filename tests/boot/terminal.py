"""A person's terminal on the machine: text is pasted into an interactive shell."""

import os
import pty
import re
import subprocess
import time
from select import select
from types import TracebackType
from typing import Self

from tests.boot.machine import Machine

_FAILED = re.compile(r"\[\[failed (\d+)\]\]\r?\n?")


class Terminal:
    """An interactive login shell of a user, with job control; leaving hangs up."""

    def __init__(self, machine: Machine, user: str, folder: str) -> None:
        self._near, far = pty.openpty()
        # The shell leads its session, as in a terminal's window: it is hung up on, and its jobs.
        shell = "exec setsid --ctty --wait bash --noediting -i"
        self._process = subprocess.Popen(  # noqa: S603 - words of this file
            machine.entering("TERM=dumb", "su", "--login", user, "-c", shell),
            stdin=far,
            stdout=far,
            stderr=far,
        )
        os.close(far)
        self._count, self._tree = 0, machine.tree
        # A prompt and an echo would stand between what is printed; the trap tells of each failure.
        self.paste(f"stty -echo; PS1=; PS2=; trap 'echo \"[[failed $?]]\"' ERR; cd {folder}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._near)
        self._process.kill()
        self._process.wait()

    def paste(self, text: str, timeout: float = 900.0) -> tuple[str, list[int]]:
        """Paste lines; return what was printed once they are done, and the codes of failures.

        A shell takes a paste in as a whole before it runs it (readline's bracketed paste), so it
        is handed over as one: what sits in the terminal's queue, sudo would throw away.
        """
        self._count += 1
        paste = self._tree / "srv" / f"paste-{id(self)}-{self._count}"
        paste.write_text(text, encoding="utf-8")
        line = f'. /srv/{paste.name}; echo "[[done" {self._count}"]]"\n'
        os.write(self._near, line.encode())
        printed = self._until(f"[[done {self._count}]]", timeout).replace("\r\n", "\n")
        return _FAILED.sub("", printed), [int(code) for code in _FAILED.findall(printed)]

    def _until(self, mark: str, timeout: float) -> str:
        printed, give_up = b"", time.monotonic() + timeout
        while mark.encode() not in printed:
            left = give_up - time.monotonic()
            if left <= 0 or not select([self._near], [], [], left)[0]:
                raise TimeoutError(f"no {mark}: {printed.decode(errors='replace')[-3000:]}")
            printed += os.read(self._near, 65536)
        return printed.decode(errors="replace").partition(mark)[0]
