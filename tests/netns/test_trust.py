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
from typing import Any

import pytest

from tests.netns.lan import API_PORT, Lan, ended, why_not
from tests.netns.test_lan import rows_of, until

MODEL = "mlx-community/Llama-3.2-3B-Instruct-4bit"
HIDDEN = "what-must-stay-in-the-house"
OFF = {"BROADCAST": '"off"', "MDNS": "false"}
PATIENCE = 50.0
OTHER_MACHINE = "02:00:00:00:be:ef"


@pytest.fixture(scope="module")
def lan() -> Iterator[Lan]:
    if os.environ.get("EXO_NETNS") != "1":
        pytest.skip("EXO_NETNS=1 builds a LAN of network namespaces, as root")
    missing = why_not()
    if missing:
        pytest.skip(missing)
    with Lan("house", "named", "stranger") as lan, lan.node("named", "C"):
        yield lan


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="s") as folder:
        yield Path(folder)


@contextmanager
def service(lan: Lan, place: Path, trust: str = "private") -> Generator[str]:
    """Run the service with one seed, and its log in a file."""
    keys = {
        "STATIC": json.dumps([f"http://{lan.hosts['named']}:{API_PORT}"]),
        "TRUST": f'"{trust}"',
        **OFF,
    }
    env = {f"EXO_SUPERVISOR_DISCOVERY__{key}": each for key, each in keys.items()}
    env["STATE_DIRECTORY"] = str(place / "state")
    path = str(place / "s")
    words = ("exo_supervisor", "run", "--socket", path)
    with (
        (place / "log").open("ab") as log,
        ended(lan.start("house", *words, env=env, err=log)) as it,
    ):
        yield path
        it.terminate()
        assert it.wait(30) == 0


@contextmanager
def stranger(lan: Lan, heard: Path) -> Generator[None]:
    with ended(lan.start("stranger", "tests.netns.stranger", str(heard))) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield


def chat(path: str, *, private: bool) -> tuple[int, str]:
    """Ask, and return the status and who answered."""
    said = HIDDEN if private else "anything"
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": said}]})
    wish = "x-supervisor-privacy: local_only\r\n" if private else ""
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{wish}"
    with socket.socket(socket.AF_UNIX) as client:
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


def logged(place: Path, event: str) -> list[Any]:
    lines = map(json.loads, (place / "log").read_text().splitlines())
    return [line for line in lines if line["event"] == event]


def test_a_stranger_gets_no_prompt_that_must_stay_until_a_person_trusts_it(
    lan: Lan, place: Path
) -> None:
    heard = place / "heard"
    at = {host: f"{lan.hosts[host]}:{API_PORT}" for host in ("named", "stranger")}
    with stranger(lan, heard), service(lan, place) as path:
        until(lambda: [row["rung"] for row in rows_of(path).values()] == ["ready"] * 2, PATIENCE)
        grounds = {at_: row["trust"] for at_, row in rows_of(path).items()}
        assert grounds == {at["named"]: "named", at["stranger"]: "found"}
        assert {chat(path, private=True) for _ in range(40)} == {(200, at["named"])}
        open_to_all = [chat(path, private=False) for _ in range(10)]
        assert (200, at["stranger"]) in open_to_all, "it draws what may leave anyhow"
        assert HIDDEN not in heard.read_text()
        until(lambda: logged(place, "node_first_used"), PATIENCE)
        [first] = logged(place, "node_first_used")
        assert (first["node"], first["source"]) == (at["stranger"], ["multicast"])
        told = verb(path, "nodes") + verb(path, "status")
        assert told.count(f"exo-supervisor nodes trust {at['stranger']}") == 2
        assert "trusted" in verb(path, "nodes", "trust", at["stranger"])
        until(lambda: "link" in (place / "state" / "pins.json").read_text(), PATIENCE)
        until(lambda: (200, at["stranger"]) == chat(path, private=True), PATIENCE)
        until(lambda: HIDDEN in heard.read_text(), PATIENCE)  # written soon after it was asked

    with stranger(lan, place / "later"), service(lan, place) as path:  # it is the same machine
        until(lambda: rows_of(path).get(at["stranger"], {}).get("trust") == "pinned", PATIENCE)
        lan.become("stranger", OTHER_MACHINE)
        until(lambda: rows_of(path)[at["stranger"]]["trust"] == "found", PATIENCE)
        until(lambda: logged(place, "node_unpinned"), PATIENCE)
        [said] = logged(place, "node_unpinned")
        assert (said["level"], said["node"], said["is"]) == (
            "error", at["stranger"], OTHER_MACHINE,
        )  # fmt: skip
        assert {chat(path, private=True) for _ in range(10)} == {(200, at["named"])}


def test_with_trust_for_the_named_alone_a_stranger_gets_nothing(lan: Lan, place: Path) -> None:
    heard = place / "heard"
    named = f"{lan.hosts['named']}:{API_PORT}"
    with stranger(lan, heard), service(lan, place, "named") as path:
        until(lambda: [row["rung"] for row in rows_of(path).values()] == ["ready"] * 2, PATIENCE)
        assert {chat(path, private=False) for _ in range(40)} == {(200, named)}
        assert heard.read_text() == ""
