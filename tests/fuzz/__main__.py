"""Runs the fuzzers one after the other, each for so many seconds; a failure names its seed."""

import argparse
import random
import sys
import time
from collections.abc import Callable
from typing import Protocol

import anyio

from tests.fuzz import socket
from tests.fuzz.lan import Lan
from tests.fuzz.upstream import Upstream


class Fuzzer(Protocol):
    """Whatever is tried again and again."""

    def try_once(self) -> None:
        """Try once; raises for what must not be."""
        ...


def tried(make: Callable[[random.Random], Fuzzer], seed: int, seconds: float) -> int:
    """Try until the time is over, with a seed of its own each thousand tries; return how often."""
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        fuzzer = make(random.Random(seed + count))
        for _ in range(1000):
            if time.monotonic() >= until:
                break
            fuzzer.try_once()
            count += 1
    return count


def sent(seed: int, seconds: float) -> int:
    return anyio.run(socket.run, random.Random(seed), time.monotonic() + seconds)


FUZZERS: dict[str, Callable[[int, float], int]] = {
    "socket": sent,
    "upstream": lambda seed, seconds: tried(Upstream, seed, seconds),
    "lan": lambda seed, seconds: tried(Lan, seed, seconds),
}


def main() -> None:
    """Run those that were named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("names", nargs="*", choices=[*FUZZERS, []], default=[])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    asked = parser.parse_args()
    for name in asked.names or FUZZERS:
        sys.stdout.write(f"{name}: seed {asked.seed}, {asked.seconds:g} s: ")
        sys.stdout.flush()
        count = FUZZERS[name](asked.seed, asked.seconds)
        sys.stdout.write(f"{count} tries, none that must not be\n")


if __name__ == "__main__":
    main()
