"""A stranger on the link that looks like an Exo, beside a named node that is slower.

It takes root, iproute2 and half a minute, so it runs where EXO_NETNS=1 asks for it.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exo_supervisor.discovery.pins import decode_pins
from tests.netns.lan import API_PORT, Lan, ended, why_not
from tests.netns.service import PATIENCE, logged, rows_of, running, seen_of, text_of, until

MODEL = "mlx-community/Llama-3.2-3B-Instruct-4bit"
HIDDEN, OPEN = "what-must-stay-in-the-house", "what-may-leave-it"
OFF = {"broadcast": '"off"', "mdns": "false"}
FIRST_MACHINE, OTHER_MACHINE = "02:00:00:00:ca:fe", "02:00:00:00:be:ef"


@pytest.fixture(scope="module")
def lan() -> Iterator[Lan]:
    if os.environ.get("EXO_NETNS") != "1":
        pytest.skip("EXO_NETNS=1 builds a LAN of network namespaces, as root")
    missing = why_not()
    if missing:
        pytest.skip(missing)
    with Lan("house", "named", "stranger") as lan, lan.node("named", "C"):
        lan.become("stranger", FIRST_MACHINE)
        yield lan


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="s") as folder:
        yield Path(folder)


@contextmanager
def service(lan: Lan, place: Path, trust: str = "private") -> Generator[str]:
    """Run the service with one seed, and its log in a file."""
    static = json.dumps([f"http://{lan.hosts['named']}:{API_PORT}"])
    discovery = {"static": static, "trust": f'"{trust}"', **OFF}
    with (
        (place / "log").open("ab") as log,
        running(lan, "house", place, discovery, log) as path,
    ):
        yield path


@contextmanager
def stranger(lan: Lan, heard: Path) -> Generator[None]:
    with ended(lan.start("stranger", "tests.netns.stranger", str(heard))) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield


def chat(path: str, *, private: bool) -> tuple[int, str]:
    """Ask, and return the status and who answered."""
    said = HIDDEN if private else OPEN
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": said}]})
    wish = "x-supervisor-privacy: local_only\r\n" if private else ""
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{wish}"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(path)
        client.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
    lines = answer.partition(b"\r\n\r\n")[0].decode().lower().splitlines()
    named = dict(line.split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), named.get("x-supervisor-target", "")


def verb(path: str, *words: str) -> str:
    command = [sys.executable, "-m", "exo_supervisor", *words, "--socket", path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    return done.stdout + done.stderr


def ready_beside(path: str) -> bool:
    """Say whether the named node and the stranger are ready."""
    return [row["rung"] for row in rows_of(path).values()] == ["ready"] * 2


def test_a_stranger_gets_no_prompt_that_must_stay_until_a_person_trusts_it(
    lan: Lan, place: Path
) -> None:
    heard, log = place / "heard", place / "log"
    at = {host: f"{lan.hosts[host]}:{API_PORT}" for host in ("named", "stranger")}
    with stranger(lan, heard), service(lan, place) as path:
        until(lambda: ready_beside(path))
        grounds = {at_: row["trust"] for at_, row in rows_of(path).items()}
        assert grounds == {at["named"]: "named", at["stranger"]: "found"}
        assert {chat(path, private=True) for _ in range(40)} == {(200, at["named"])}
        until(lambda: chat(path, private=False) == (200, at["stranger"]))  # it may leave anyhow
        until(lambda: OPEN in text_of(heard))  # and what it got before is written by then
        assert HIDDEN not in text_of(heard)
        until(lambda: logged(log, "node_first_used"))
        [first] = logged(log, "node_first_used")
        assert (first["node"], first["source"]) == (at["stranger"], ["multicast"])
        told = verb(path, "nodes") + verb(path, "status")
        assert told.count(f"exo-supervisor nodes trust {at['stranger']}") == 2
        assert "trusted" in verb(path, "nodes", "trust", at["stranger"])
        pins = place / "state" / "pins.json"
        assert at["stranger"] in text_of(pins), "what it says is so when it says it"
        until(lambda: decode_pins(pins.read_bytes()) == ((at["stranger"], FIRST_MACHINE),))
        until(lambda: (200, at["stranger"]) == chat(path, private=True))
        until(lambda: HIDDEN in text_of(heard))  # written soon after it was asked

    with stranger(lan, place / "later"), service(lan, place) as path:  # it is the same machine
        until(lambda: seen_of(path, at["stranger"], "trust") == "pinned")
        lan.become("stranger", OTHER_MACHINE)
        took = until(lambda: seen_of(path, at["stranger"], "trust") == "found")
        print(f"another machine at its address is told of: {took:.2f} s")  # noqa: T201
        until(lambda: logged(log, "node_unpinned"))
        [said] = logged(log, "node_unpinned")
        assert (said["level"], said["node"], said["is"]) == (
            "error", at["stranger"], OTHER_MACHINE,
        )  # fmt: skip
        assert {chat(path, private=True) for _ in range(10)} == {(200, at["named"])}


def test_with_trust_for_the_named_alone_a_stranger_gets_nothing(lan: Lan, place: Path) -> None:
    heard = place / "heard"
    named = f"{lan.hosts['named']}:{API_PORT}"
    with stranger(lan, heard), service(lan, place, "named") as path:
        until(lambda: ready_beside(path))
        assert {chat(path, private=False) for _ in range(40)} == {(200, named)}
        assert text_of(heard) == ""
