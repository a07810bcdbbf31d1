"""Starts the parts of the benchmark, and reads what the kernel counted for them."""

import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.benchmarks.load import Job, Outcome

ROOT = Path(__file__).parents[2]
_STOP = 10.0


class BenchmarkError(Exception):
    """The benchmark could not measure, or what it measured was not whole."""


@contextmanager
def started(
    command: Sequence[str], log: Path, **environ: str
) -> Generator[subprocess.Popen[bytes]]:
    """Keep a process for as long as the `with` block runs; its standard error goes to `log`."""
    with log.open("wb") as told:
        process = subprocess.Popen(  # noqa: S603 -- our own commands
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            cwd=ROOT,
            env=os.environ | environ,
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
        raise BenchmarkError(f"{outcome.failed} of {outcome.done} at {job.socket}: {outcome.why}")
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
    """Return what a process has used so far, user and system, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid: int) -> float:
    """Return the most memory that a process ever had resident, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
