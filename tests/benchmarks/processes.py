"""Starts the parts of the benchmark, and reads what the kernel counted for them."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.benchmarks.load import Job, Outcome

ROOT = Path(__file__).parents[2]
_STOP = 10.0
_NONE: Mapping[str, str] = {}


class BenchmarkError(Exception):
    """The benchmark could not measure, or what it measured was not whole."""


@contextmanager
def started(
    command: Sequence[str], log: Path, *, environ: Mapping[str, str] = _NONE, says: bool = False
) -> Generator[subprocess.Popen[bytes]]:
    """Keep a process for as long as the `with` block runs; what it prints goes to `log`.

    With `says` its standard output is ours to read.
    """
    with log.open("wb") as told:
        process = subprocess.Popen(  # noqa: S603 -- our own commands
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if says else told,
            stderr=told,
            cwd=ROOT,
            env=os.environ | dict(environ),
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.communicate(timeout=_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def tail(log: Path) -> str:
    """Return the end of what a process said."""
    return log.read_text(errors="replace")[-2000:]


def module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs one of our modules."""
    return [sys.executable, "-m", name, *arguments]


def perform(load: subprocess.Popen[bytes], job: Job) -> Outcome:
    """Have the load generator do a job; raises BenchmarkError if an answer was not whole."""
    outcome = attempt(load, job)
    if outcome.failed:
        raise BenchmarkError(f"{outcome.failed} of {outcome.done} at {job.at}: {outcome.why}")
    return outcome


def attempt(load: subprocess.Popen[bytes], job: Job) -> Outcome:
    """Have the load generator do a job, whatever comes of it."""
    assert load.stdin is not None
    assert load.stdout is not None
    load.stdin.write(msgspec.json.encode(job) + b"\n")
    load.stdin.flush()
    line = load.stdout.readline()
    if not line:
        raise BenchmarkError("the load generator ended")
    return msgspec.json.decode(line, type=Outcome)


def cpu_seconds(pid: int) -> float:
    """Return what a process has used so far, with its threads that ended."""
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3), as the kernel numbers it


def resident(pid: int) -> float:
    """Return how much memory a process has resident, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def accepts(at: str) -> bool:
    """Say whether somebody listens at a path or at `host:port`."""
    host, _, port = at.partition(":")
    family = socket.AF_UNIX if at.startswith("/") else socket.AF_INET
    with socket.socket(family) as probe:
        return probe.connect_ex(at if family == socket.AF_UNIX else (host, int(port))) == 0
