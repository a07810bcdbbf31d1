"""`python -m tests.boot`: a new Debian, the README pasted into it, and its service in a systemd.

As root, with debootstrap, systemd-container and iproute2; about four minutes. `--whole` runs the
README's tests whole there, too; without it pytest is told by its own variable to run a part, since
the gate runs them whole outside.
"""

import os
import sys
import time
from contextlib import ExitStack

from tests.boot import blocks, service
from tests.boot.machine import CLONE, booted, why_not
from tests.boot.terminal import Terminal
from tests.netns.lan import Lan

PART = "PYTEST_ADDOPTS='tests/wire tests/config'"
EXO = ("exo_supervisor.demo", "--generation", "C", "--port", "52415")


def main() -> int:
    missing = why_not()
    if missing:
        print(f"not booted: {missing}")
        return 1
    results: list[bool] = []
    began = time.monotonic()

    def told(what: str, well: bool) -> None:  # noqa: FBT001 - the result is the value
        results.append(well)
        print(f"{'ok  ' if well else 'FAIL'} {time.monotonic() - began:5.0f} s  {what}", flush=True)

    hosts = ("gateway", "machine", "a", "b", "c")
    with ExitStack() as stack:
        lan = stack.enter_context(Lan(*hosts, subnet="192.168.1"))
        machine = stack.enter_context(booted(lan, "machine"))
        told("Debian boots", True)  # noqa: FBT003
        for generation in "ABC":
            stack.enter_context(lan.node(generation.lower(), generation))
        exo = stack.enter_context(lan.start("machine", *EXO))
        stack.callback(exo.kill)
        with Terminal(machine, "alice", CLONE) as terminal:
            told("what the README names is installed", not blocks.install_what_it_says(terminal)[1])
            if "--whole" not in sys.argv:
                terminal.paste(f"export {PART}\n")
            for kind, text in blocks.of_the_user():
                blocks.paste(terminal, machine, kind, text, told)
        with Terminal(machine, "root", CLONE) as terminal:
            first, *others = blocks.of_the_operator()
            blocks.paste(terminal, machine, *first, told)
            service.is_up(machine, told)
            service.found(machine, lan, "BC", told)
            service.who_may_ask(machine, told)
            service.restarts(machine, told)
            service.a_hangup(machine, told)
            service.a_bad_file(machine, told)
            service.waits_for_no_one(machine, told)
            for kind, text in others:
                blocks.paste(terminal, machine, kind, text, told)
            service.found(machine, lan, "ABC", told)
    failed = results.count(False)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.pop("PYTEST_ADDOPTS", None)
    sys.exit(main())
