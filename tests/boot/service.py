"""What the units promise, in a real systemd: who may ask, restarts, a bad file, a hangup."""

import json
import re
import subprocess
import time
from pathlib import Path

from tests.boot.machine import CLONE, Machine
from tests.boot.terminal import Terminal
from tests.boot.transcript import Told, say
from tests.netns.lan import Lan

SOCKET = "/run/exo-supervisor/api.sock"
MODEL = "mlx-community/Llama-3.2-3B-Instruct-4bit"
FILE = "/etc/exo-supervisor/supervisor.toml"
CROWD = f"python3 {CLONE}/tests/boot/crowd.py {SOCKET} {MODEL}"
RESTARTS = 3
START = "exo-supervisor status --wait 120"
"""Waits until the service is ready; a busy machine takes its time."""
_WITHIN = 240.0
"""How long to wait for what must come; a busy machine takes its time."""


def show(machine: Machine, script: str, user: str = "root") -> tuple[int, str]:
    """Run a script and print it with what it printed, as a transcript."""
    code, said = machine.run(script, user)
    lines = [f"{user}$ {script}", *(f"  {line}" for line in said.splitlines()), f"  [{code}]"]
    say("\n".join(lines))
    return code, said


def until(machine: Machine, script: str) -> None:
    """Wait until a script succeeds; who waits in vain sees it in what is looked at next."""
    machine.run(f"for _ in $(seq {_WITHIN * 5:.0f}); do {script} && break; sleep 0.2; done")


def is_up(machine: Machine, told: Told) -> None:
    status = "systemctl status --no-pager --lines=4 exo-supervisor"
    until(machine, f"{status} | grep -q 'Status:.*Exo'")
    _, said = show(machine, status)
    told("systemctl status says what it does", re.search(r"Status: \".*Exo", said) is not None)
    # Asked by its name: how many lines came after it, nodes and what is quiet, differs by start.
    line = """journalctl -u exo-supervisor -o cat --no-pager | grep '"event":"service_listening"'"""
    until(machine, f"{line} >/dev/null")
    code, _ = show(machine, line)
    told("the journal has its lines", code == 0)
    _, said = show(machine, "systemctl show -p MemoryMax -p TasksMax -p LimitCORE exo-supervisor")
    bounds = {"MemoryMax=2147483648", "TasksMax=128", "LimitCORE=0"}
    told("memory, tasks and core dumps are bounded", bounds <= set(said.split()))
    _, said = show(machine, "grep -E 'Cap(Eff|Prm|Amb)' /proc/$(pidof -s -x exo-supervisor)/status")
    told("it has no capability", len(re.findall("0{16}", said)) == 3)
    _, said = show(machine, "systemd-analyze security --no-pager exo-supervisor | tail -n 1")
    (figure,) = re.findall(r"([\d.]+) ", said)
    told(f"its exposure is {figure}, at most 1.5", float(figure) <= 1.5)


def found(machine: Machine, lan: Lan, generations: str, told: Told) -> None:
    """See that the LAN's nodes of these generations are found; what cannot be is said."""
    wanted = {f"{lan.hosts[each.lower()]}:52415": each for each in generations}
    give_up = time.monotonic() + _WITHIN
    seen: dict[str, str] = {}
    while not wanted.items() <= seen.items() and time.monotonic() < give_up:
        code, body = machine.run("exo-supervisor nodes --json")
        if code == 0:  # else it starts just now
            seen = {node["id"]: node["generation"] for node in json.loads(body)["nodes"]}
    show(machine, "exo-supervisor nodes")
    told(f"on the LAN it finds {', '.join(generations)}", wanted.items() <= seen.items())
    if "A" not in generations:
        _, said = show(machine, "exo-supervisor status")
        told("what it cannot hear it says", "CAP_NET_RAW" in said)


def who_may_ask(machine: Machine, told: Told) -> None:
    machine.run("usermod -aG exo-supervisor alice")
    code, said = show(machine, f'exo-supervisor chat --model {MODEL} "Name three rivers."', "alice")
    told("a member of the group chats", code == 0 and "-- Exo " in said)
    code, said = show(machine, "exo-supervisor status", "bob")
    told("another user is told how to become one", code == 69 and "usermod -aG" in said)


def _crowd(machine: Machine, clients: int) -> subprocess.Popen[str]:
    """Start clients that ask until /tmp/stop is there."""
    machine.run("rm -f /tmp/stop*")
    return machine.start(f"{CROWD} {clients} /tmp/stop", "alice")


def restarts(machine: Machine, told: Told) -> None:
    """Restart it under load: each request is answered whole."""
    with _crowd(machine, 8) as crowd:
        for _ in range(RESTARTS):
            machine.run("rm -f /tmp/stop.whole")
            until(machine, "test -e /tmp/stop.whole")
            machine.run("systemctl restart exo-supervisor")
        machine.run("touch /tmp/stop", "alice")
        out, _ = crowd.communicate(timeout=_WITHIN)
    ends = json.loads(out.splitlines()[-1])
    whole = ends.get("whole", 0)
    lost = sum(ends.values()) - whole
    say(f"{RESTARTS} restarts under load: {ends}")
    told(f"{RESTARTS} restarts under load: {whole} whole, {lost} lost", whole > 0 == lost)


def a_hangup(machine: Machine, told: Told) -> None:
    pid = "systemctl show -p MainPID --value exo-supervisor"
    _, was = machine.run(pid)
    show(machine, "systemctl kill --signal=HUP exo-supervisor")
    heard = "journalctl -u exo-supervisor -o cat --no-pager | grep not_reloadable_yet"
    until(machine, f"{heard} >/dev/null")
    _, said = show(machine, heard)
    _, now = machine.run(pid)
    told("a hangup changes nothing and says so", "not_reloadable_yet" in said and was == now)


def a_bad_file(machine: Machine, told: Told) -> None:
    """Give it a wrong file under clients: it ends once, its socket, too, and they are told."""
    path = Path(f"{machine.tree}{FILE}")
    path.parent.mkdir(exist_ok=True)
    path.write_text("[server]\nsokcet = 1\n")
    with _crowd(machine, 4) as crowd:
        until(machine, "test -e /tmp/stop.whole")
        show(machine, "systemctl restart exo-supervisor")
        until(machine, "systemctl is-failed -q exo-supervisor.service")
        until(machine, "! systemctl is-active -q exo-supervisor.socket")
        until(machine, "test -e /tmp/stop.other")
        machine.run("touch /tmp/stop", "alice")
        out, _ = crowd.communicate(timeout=_WITHIN)
    ends = json.loads(out.splitlines()[-1])
    say(f"clients meanwhile: {ends}")
    told(
        "clients of a bad file are told, none hangs", sum(ends.values()) > ends.get("whole", 0) > 0
    )
    _, said = show(machine, "systemctl is-active exo-supervisor.service exo-supervisor.socket")
    told("a bad file: the service failed, the socket rests", said.split() == ["failed", "inactive"])
    _, said = show(machine, "systemctl show -p NRestarts -p ExecMainStatus exo-supervisor")
    told("it ended with 78 and was not restarted", "ExecMainStatus=78" in said)
    lines = "journalctl -u exo-supervisor -o cat --no-pager | grep -c 'error: unknown'"
    until(machine, f"{lines} >/dev/null")
    _, said = show(machine, lines)
    told("it was tried few times", 0 < int(said.split()[0]) <= 3)
    code, _ = show(machine, "exo-supervisor status", "alice")
    told("a client is told at once", code == 69)
    code, said = show(machine, "exo-supervisor check")
    told("check says where", code == 78 and f"{FILE}:2:1: error: unknown key" in said)
    path.unlink()
    show(machine, "systemctl start exo-supervisor")
    code, said = show(machine, START, "alice")
    told("mended, it starts, and so does its socket", code == 0 and "Exo serves" in said)


def a_missing_credential(machine: Machine, told: Told) -> None:
    """Name a credential whose file is not there: it comes to rest as with a bad file."""
    folder = "/etc/systemd/system/exo-supervisor.service.d"
    line = "LoadCredential=openrouter:/etc/exo-supervisor/credentials/openrouter"
    machine.run(f"mkdir -p {folder}; printf '[Service]\\n{line}\\n' > {folder}/key.conf")
    show(machine, "systemctl daemon-reload; systemctl restart exo-supervisor")
    until(machine, "! systemctl is-active -q exo-supervisor.socket")
    _, said = show(machine, "systemctl is-active exo-supervisor.service exo-supervisor.socket")
    told("a key that is not there: both units rest", said.split() == ["failed", "inactive"])
    machine.run(f"rm {folder}/key.conf; systemctl daemon-reload")
    show(machine, "systemctl start exo-supervisor")
    code, _ = show(machine, START, "alice")
    told("without it, it starts again", code == 0)


def a_terminal_that_goes(machine: Machine, told: Told) -> None:
    """Hang up on a user's own service: it drains, ends, and takes its socket along."""
    path = Path(f"{machine.tree}/home/bob/.local/state/exo-supervisor/api.sock")
    with Terminal(machine, "bob", "/home/bob") as terminal:
        terminal.paste("exo-supervisor run 2>bob.log &\n")
        terminal.paste(f"{START}\n")
        was = path.exists()
    give_up = time.monotonic() + _WITHIN
    while path.exists() and time.monotonic() < give_up:
        time.sleep(0.1)
    told("a terminal that goes takes its service along", was and not path.exists())
