"""`python -m tests.boot`: a new Debian, the README pasted into it, and its service in a systemd.

As root, with debootstrap, systemd-container and iproute2; about four minutes, on a busy machine
fifteen. `--whole` runs the README's tests whole there, too; without it pytest is told by its own
variable to run a part, since the gate runs them whole outside.
"""

import os
import sys
from contextlib import ExitStack

from tests.boot import blocks, service
from tests.boot.machine import CLONE, Machine, booted, why_not
from tests.boot.terminal import Terminal
from tests.boot.transcript import Results, Told, say
from tests.netns.lan import Lan, ended

PART = "PYTEST_ADDOPTS='tests/wire tests/config'"
HOSTS = ("gateway", "machine", "a", "b", "c")
"""The last one has the address that the README's configuration names."""
EXO = ("exo_supervisor.demo", "--generation", "C", "--port", "52415")


def main() -> int:
    missing = why_not()
    if missing:
        say(f"not booted: {missing}")
        return 1
    results = Results()
    told = results.told
    with ExitStack() as stack:
        lan = stack.enter_context(Lan(*HOSTS, subnet="192.168.1"))
        machine = stack.enter_context(booted(lan, "machine"))
        told("Debian boots", well=True)
        for generation in "ABC":
            stack.enter_context(lan.node(generation.lower(), generation))
        stack.enter_context(ended(lan.start("machine", *EXO)))
        _as_the_user(machine, told)
        _as_the_operator(machine, lan, told)
        say(f"{results.passed} passed, {results.failed} failed")
    return 1 if results.failed else 0


def _as_the_user(machine: Machine, told: Told) -> None:
    with Terminal(machine, "alice", CLONE) as terminal:
        _, failed = blocks.install_what_it_says(terminal)
        told("what the README names is installed", not failed)
        if "--whole" not in sys.argv:
            terminal.paste(f"export {PART}\n")
        for kind, text in blocks.of_the_user():
            blocks.paste(terminal, machine, kind, text, told)


def _as_the_operator(machine: Machine, lan: Lan, told: Told) -> None:
    with Terminal(machine, "root", CLONE) as terminal:
        first, *others = blocks.of_the_operator()
        blocks.paste(terminal, machine, *first, told)
        service.is_up(machine, told)
        service.found(machine, lan, "BC", told)
        service.who_may_ask(machine, told)
        service.restarts(machine, told)
        service.a_hangup(machine, told)
        service.a_bad_file(machine, told)
        service.a_missing_credential(machine, told)
        service.a_terminal_that_goes(machine, told)
        for kind, text in others:
            blocks.paste(terminal, machine, kind, text, told)
        service.found(machine, lan, "ABC", told)


if __name__ == "__main__":
    os.environ.pop("PYTEST_ADDOPTS", None)
    sys.exit(main())
