"""Nodes of every generation are found on a real LAN of hosts, and an Exo beside us is not hurt.

It takes root, iproute2 and a minute and a half, so it runs where EXO_NETNS=1 asks for it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address, ip_network
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.netns.attack import BY_BROADCAST, BY_MDNS, BY_STATE
from tests.netns.lan import API_PORT, ENDS_WITHIN, SUBNET, Lan, ended, why_not
from tests.netns.service import ready_nodes, running, seen_of, until

HOMES = {"a": "A", "b": "B", "c": "C", "c2": "C"}
OBSERVERS = {"sees-a-1": "A", "sees-a-2": "A", "sees-b": "B", "sees-c": "C"}
LATER = ("d", "e", "f")
FOURTH = {"fourth-a": "A", "fourth-b": "B", "fourth-c": "C"}
LEFT_WITHIN = 20.0
"""Seconds from when a host leaves until it is known to be down: three missed probes.

The last of them begins within 15 s and waits for 2 s; the rest is for a machine that is busy.
"""
NEXT_QUESTION = 20.0
"""Seconds until a host of generation B is asked: our questions come after 1, 2, 4 and 8 s."""
TRAPPED_A = tuple(f"trap-a-{n}" for n in range(10))
WITHIN = {"A": 4.0, "B": 3.0, "C": 3.0}
"""Seconds from when both are up until a node is found and identified."""
TRIALS = 10


@pytest.fixture(scope="module")
def lan() -> Iterator[Lan]:
    if os.environ.get("EXO_NETNS") != "1":
        pytest.skip("EXO_NETNS=1 builds a LAN of network namespaces, as root, for 90 seconds")
    missing = why_not()
    if missing:
        pytest.skip(missing)
    with (
        Lan(
            *HOMES,
            *OBSERVERS,
            "new",
            "joins",
            *LATER,
            "stays",
            *FOURTH,
            "attacked",
            "attacker",
            "trap-c",
            *TRAPPED_A,
        ) as lan,
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
        printed = {host: each.communicate(timeout=ENDS_WITHIN)[0] for host, each in started.items()}
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


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="s") as folder:
        yield Path(folder)


def test_a_service_without_any_configuration_finds_them_all(lan: Lan, place: Path) -> None:
    """A person starts it beside a LAN of Exos, and it knows what is ready on each."""
    expected = {f"{lan.hosts[host]}:{API_PORT}": home for host, home in HOMES.items()}
    with running(lan, "new", place, {}) as path:
        until(lambda: ready_nodes(path) == expected)
    off = {"broadcast": '"off"', "mdns": "false", "multicast": "false", "crawl": "false"}
    with running(lan, "new", place, off) as path:  # deaf: only what it remembers is left
        took = until(lambda: ready_nodes(path) == expected)
        print(f"after a restart, from memory: {took:.2f} s")  # noqa: T201


def test_a_fourth_host_joins_and_leaves_while_the_service_runs(lan: Lan, place: Path) -> None:
    """One of A whose Exo ends, one of C that is cut off without a word, and one of B."""
    at = {host: f"{lan.hosts[host]}:{API_PORT}" for host in FOURTH}
    with running(lan, "stays", place, {}) as path, ExitStack() as nodes:
        until(lambda: len(ready_nodes(path)) >= len(HOMES))
        exos: dict[str, ExitStack] = {}
        for host, home in FOURTH.items():
            exos[host] = nodes.enter_context(ExitStack())
            exos[host].enter_context(lan.node(host, home))
            took = until(lambda host=host: at[host] in ready_nodes(path))
            print(f"a fourth host of {home} joined and was found: {took:.2f} s")  # noqa: T201
            assert took <= (NEXT_QUESTION if home == "B" else WITHIN[home])
        exos["fourth-a"].close()
        lan.unplug("fourth-c")
        left = time.monotonic()
        for host in ("fourth-a", "fourth-c"):
            until(lambda host=host: seen_of(path, at[host], "rung") == "seen")
            took = time.monotonic() - left
            print(f"{host} left and was missed: {took:.2f} s")  # noqa: T201
            assert took <= LEFT_WITHIN
        verb = [sys.executable, "-m", "exo_supervisor", "nodes", "--json", "--socket", path]
        told = subprocess.run(verb, capture_output=True, text=True, check=True)  # noqa: S603 - ours
        rungs = {row["id"]: row["rung"] for row in json.loads(told.stdout)["nodes"]}
        assert [rungs[at[host]] for host in FOURTH] == ["seen", "ready", "seen"]


def test_whatever_the_lan_says_nobody_elsewhere_is_contacted(lan: Lan) -> None:
    """Asserted at the socket, while a host lies in every generation's way."""
    with ended(lan.start("attacker", "tests.netns.attack", SUBNET, lan.hosts["attacker"])) as bad:
        assert bad.stdout is not None
        assert bad.stdout.readline() == "up\n"
        led_to = [f"{SUBNET}.{host}" for host in (BY_BROADCAST, BY_MDNS, BY_STATE)]
        told: list[tuple[str, str, int]] = lan.ask("attacked", "tests.netns.border", "9", *led_to)
    contacts = {(how, host, port) for how, host, port in told}
    connected = {f"{host}:{port}" for how, host, port in contacts if how == "socket.connect"}
    for host in led_to:
        assert f"{host}:{API_PORT}" in connected, "what is on our own link is looked at"
    ports = {address.rpartition(":")[2] for address in connected}
    assert ports == {str(API_PORT)}, "a stranger names ports at which anything may listen"
    own = ip_network(f"{SUBNET}.0/24")
    for how, host, port in contacts:
        ip = ip_address(host)
        if ip.version == 4 and ip in own:
            assert how == "socket.connect" or port == 9
        elif how == "socket.connect":
            assert (host, port) == ("127.0.0.1", API_PORT), "the seed of the defaults"
        else:
            group = (host, port) in {("224.0.0.251", 5353), ("ff12::e0a1:de89", 52413)}
            assert group or (ip.is_link_local and ip.version == 6 and port == 9), (how, host, port)


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
