"""Nodes of every generation are found on a real LAN of hosts, and an Exo beside us is not hurt.

It takes root, iproute2 and the better part of a minute, so it runs where EXO_NETNS=1 asks for it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from typing import Any

import pytest

from tests.netns.lan import API_PORT, Lan, ended, why_not

HOMES = {"a": "A", "b": "B", "c": "C", "c2": "C"}
OBSERVERS = {"sees-a-1": "A", "sees-a-2": "A", "sees-b": "B", "sees-c": "C"}
LATER = ("d", "e", "f")
TRAPPED_A = tuple(f"trap-a-{n}" for n in range(10))
WITHIN = {"A": 4.0, "B": 3.0, "C": 3.0}
"""Seconds from when both are up until a node is found and identified."""
TRIALS = 10


@pytest.fixture(scope="module")
def lan() -> Iterator[Lan]:
    if os.environ.get("EXO_NETNS") != "1":
        pytest.skip("EXO_NETNS=1 builds a LAN of network namespaces, as root, for a minute")
    missing = why_not()
    if missing:
        pytest.skip(missing)
    with (
        Lan(*HOMES, *OBSERVERS, "new", "joins", *LATER, "trap-c", *TRAPPED_A) as lan,
        ExitStack() as nodes,
    ):
        for host, generation in HOMES.items():
            nodes.enter_context(lan.node(host, generation))
        yield lan


def asked(lan: Lan, questions: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """Run Python on several hosts at once, and return the JSON that each printed last."""
    with ExitStack() as stack:
        started = {
            host: stack.enter_context(ended(lan.start(host, *words)))
            for host, words in questions.items()
        }
        printed = {host: process.communicate(timeout=50)[0] for host, process in started.items()}
        assert not any(process.returncode for process in started.values())
    return {host: json.loads(out.splitlines()[-1]) for host, out in printed.items()}


def test_each_generation_is_found_in_time(lan: Lan) -> None:
    """The median of ten looks by a source that starts anew, with the kernel's tables empty."""
    watching = [*OBSERVERS.values()]
    questions = {
        host: (
            "tests.netns.look",
            generation,
            str([*HOMES.values()].count(generation)),
            str(TRIALS // watching.count(generation)),
        )
        for host, generation in OBSERVERS.items()
    }
    took: dict[str, list[float]] = {generation: [] for generation in WITHIN}
    for host, seconds in asked(lan, questions).items():
        took[OBSERVERS[host]] += seconds
    for generation, seconds in took.items():
        print(f"{generation}: p50 {median(seconds):.2f} s, worst {max(seconds):.2f} s")  # noqa: T201
        assert len(seconds) == TRIALS
        assert median(seconds) <= WITHIN[generation]


def test_a_service_without_any_configuration_finds_them_all(lan: Lan) -> None:
    """A person starts it beside a LAN of Exos, and it knows what is ready on each."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="s") as folder:
        socket = f"{folder}/s"
        began = time.monotonic()
        with ended(lan.start("new", "exo_supervisor", "run", "--socket", socket)):
            ready: dict[str, str] = {}
            while len(ready) < len(HOMES):
                assert time.monotonic() - began < 10.0, ready
                ready = ready_nodes(socket)
    assert ready == {f"{lan.hosts[host]}:{API_PORT}": home for host, home in HOMES.items()}


def ready_nodes(socket: str) -> dict[str, str]:
    """Ask a service for the nodes that are ready, each with its generation."""
    verb = [sys.executable, "-m", "exo_supervisor", "nodes", "--json", "--socket", socket]
    asked = subprocess.run(verb, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    rows: list[Any] = json.loads(asked.stdout)["nodes"] if asked.returncode == 0 else []
    return {row["id"]: row["generation"] for row in rows if row["rung"] == "ready"}


def test_a_host_that_joins_is_found_in_time(lan: Lan) -> None:
    """Three hosts of generation C come up one by one while a source already listens."""
    with ended(lan.start("joins", "tests.netns.watch", "C")) as watch, ExitStack() as nodes:
        told = iter(watch.stdout or ())
        assert next(told) == "up\n"
        known = {next(told).split()[1] for _ in range(2)}
        assert known == {f"{lan.hosts[host]}:{API_PORT}" for host in ("c", "c2")}
        for host in LATER:
            nodes.enter_context(lan.node(host, "C"))
            up = time.monotonic()
            instant, address = next(told).split()
            assert address == f"{lan.hosts[host]}:{API_PORT}"
            print(f"joined and found: {float(instant) - up:.2f} s")  # noqa: T201
            assert float(instant) - up <= WITHIN["C"]


def test_an_exo_beside_us_finds_its_peers_in_either_order(lan: Lan) -> None:
    """Ten trials each: we hold no port of A's, and take no answer away that is meant for C."""
    trial = ("tests.netns.trap", "A", "1", "1")
    questions: dict[str, tuple[str, ...]] = dict.fromkeys(TRAPPED_A, trial)
    questions["trap-c"] = ("tests.netns.trap", "C", "2", str(TRIALS))
    printed = asked(lan, questions)
    for host, trials in {"trap-c": TRIALS, **dict.fromkeys(TRAPPED_A, 1)}.items():
        assert (host, printed[host]) == (host, {"exo_first": trials, "source_first": trials})


def test_the_trap_is_one(lan: Lan) -> None:
    """A socket on the wildcard address takes answers away, in one order or the other."""
    printed = lan.ask("trap-c", "tests.netns.trap", "C", "2", "1", "thief")
    assert sum(printed.values()) < 2
