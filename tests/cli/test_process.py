"""The program as a process: signals, closed pipes, terminals, permissions, imports."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from select import select
from threading import Event

import pytest

from tests.cli.conftest import TIMEOUT, Handler, Service, delta, start, streamed

pytestmark = [pytest.mark.real_time, pytest.mark.alone]
CHAT = "POST /v1/chat/completions"
HEADERS = {"x-supervisor-target": "10.0.0.5:52415"}


@contextmanager
def terminal() -> Generator[tuple[int, int]]:
    near, far = pty.openpty()
    try:
        yield near, far
    finally:
        os.close(near)
        os.close(far)


def read_until(near: int, wanted: bytes) -> bytes:
    """Read what a terminal shows until it shows `wanted`."""
    shown = b""
    while wanted not in shown:
        assert select([near], [], [], TIMEOUT)[0], shown
        shown += os.read(near, 65536)
    return shown


def test_ctrl_c_cancels_at_the_service_says_so_and_dies_of_it(service: Service) -> None:
    cancelled = Event()

    def slow(handler: Handler) -> None:
        streamed(delta("The Rhine"), headers=HEADERS, done=False, cut=True)(handler)
        if handler.rfile.read(1) == b"":  # the client closed
            cancelled.set()

    service.on(CHAT, slow)
    process = service.start("chat", "--model", "m", "rivers")
    assert process.stdout is not None
    assert process.stdout.read(9) == b"The Rhine"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == -signal.SIGINT
    assert (out, err) == (b"\n", b"-- cancelled; the text above is not whole\n")
    assert cancelled.wait(TIMEOUT)


def test_ctrl_c_before_any_answer_cancels_too(service: Service) -> None:
    asked, cancelled = Event(), Event()

    def silent(handler: Handler) -> None:
        asked.set()
        if handler.rfile.read(1) == b"":
            cancelled.set()

    service.on(CHAT, silent)
    process = service.start("chat", "--model", "m", "rivers")
    assert asked.wait(TIMEOUT)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, out, err) == (-signal.SIGINT, b"", b"-- cancelled\n")
    assert cancelled.wait(TIMEOUT)


def test_a_reader_that_goes_away_ends_it_quietly(service: Service) -> None:
    gone = Event()

    def later(handler: Handler) -> None:
        gone.wait(TIMEOUT)
        streamed(*(delta("line\n") for _ in range(50)), headers=HEADERS)(handler)

    service.on(CHAT, later)
    process = service.start("chat", "--model", "m", "rivers")
    assert process.stdout is not None
    process.stdout.close()
    gone.set()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(TIMEOUT) == -signal.SIGPIPE
    process.stderr.close()


def test_a_reader_of_the_demo_goes_away_and_it_ends_quietly(service: Service) -> None:
    """What is raised in a group of tasks is what it holds: `demo | head -2`."""
    process = service.start("demo")
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"Pretend")
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(TIMEOUT) == -signal.SIGPIPE
    process.stderr.close()


def test_a_full_disk_is_an_error_not_a_traceback(service: Service) -> None:
    service.says("GET /supervisor/status", {"ready": True})
    with Path("/dev/full").open("wb") as full:
        process = service.start("status", stdout=full.fileno())
        _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 1
    assert err == b"error: cannot write the output\n  why: no space left on device\n"


def test_a_terminal_gets_colour_and_no_control_characters(service: Service) -> None:
    service.says("GET /supervisor/models", {"models": [{"id": "a\x1b[2J", "state": "ready"}]})
    service.on(CHAT, streamed(delta("x\x1b[2Jy\n"), headers=HEADERS))
    with terminal() as (near, far):
        process = service.start("models", stdout=far)
        process.communicate(timeout=TIMEOUT)
        assert b"\r\na[2J  \x1b[32mready\x1b[0m  " in read_until(near, b"ready\x1b[0m  ")
        process = service.start("chat", "--model", "m", "rivers", stdout=far)
        process.communicate(timeout=TIMEOUT)
        assert b"x[2Jy\r\n" in read_until(near, b"y\r\n")


def test_each_stream_is_judged_apart(service: Service) -> None:
    """With standard output piped, only standard error has colour."""
    with terminal() as (near, far):
        process = service.start("status", stderr=far)
        out, _ = process.communicate(timeout=TIMEOUT)
        assert out == b""
        assert b"\x1b[31merror:\x1b[0m no such path" in read_until(near, b"404")


def test_a_wait_over_a_second_says_what_is_awaited(service: Service) -> None:
    said = Event()
    where = {"target": "t", "ready": False, "progress": "41 of 48 layers"}
    service.says(
        "GET /supervisor/models",
        {"models": [{"id": "m", "state": "loading", "where": [where]}]},
    )

    def waits(handler: Handler) -> None:
        said.wait(TIMEOUT)
        streamed(delta("x"), headers=HEADERS)(handler)

    service.on(CHAT, waits)
    with terminal() as (near, far):
        process = service.start("chat", "--model", "m", "--deadline", "90", "rivers", stderr=far)
        shown = read_until(near, b")")
        said.set()
        out, _ = process.communicate(timeout=TIMEOUT)
    assert b"-- waiting: loading, 41 of 48 layers (at most 1 min 30 s)" in shown
    assert out == b"x\n"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prefill": {"done": 12000, "total": 40000}, "target": "10.0.0.5:52415"},
         b"-- waiting: prefill, 12 of 40 thousand tokens at 10.0.0.5:52415 ("),
        ({"prefill": {"done": 12, "total": 400}, "target": "t"},
         b"-- waiting: prefill, 12 of 400 tokens at t ("),
        ({"why": "first_look"}, b"-- waiting: the service still looks at its nodes and provid"),
        ({"why": "turn"}, b"-- waiting: a free place, others are served ("),
        ({"why": None}, b"-- waiting: the first content (Ctrl-C ends it)"),
    ],
)  # fmt: skip
def test_a_wait_says_what_the_service_tells_of_the_request(
    service: Service, row: dict[str, object], said: bytes
) -> None:
    over = Event()
    other = {"model": "other", "prefill": {"done": 1, "total": 2}}
    service.says("GET /supervisor/requests", {"requests": [other, {"model": "m", **row}]})
    ready = {"id": "m", "state": "ready"}
    service.says("GET /supervisor/models", {"models": [{"id": "other", "state": "gone"}, ready]})

    def waits(handler: Handler) -> None:
        over.wait(TIMEOUT)
        streamed(delta("x"), headers=HEADERS)(handler)

    service.on(CHAT, waits)
    with terminal() as (near, far):
        process = service.start("chat", "-m", "m", "rivers", stderr=far)
        assert said in read_until(near, b")")
        over.set()
        process.communicate(timeout=TIMEOUT)


def test_a_prompt_is_read_as_one_line_from_a_terminal(service: Service) -> None:
    service.on(CHAT, streamed(delta("x"), headers=HEADERS))
    with terminal() as (near, far):
        process = service.start("chat", "--model", "m", stdin=far)
        os.write(near, b"first line\nsecond line\n")
        process.communicate(timeout=TIMEOUT)
    assert b'"first line"' in service.seen[0].body


def test_a_forbidden_socket_names_the_group_to_join(service: Service, folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody whom the socket refuses")
    folder.chmod(0o755)
    service.path.chmod(0o660)
    os.chown(service.path, 0, 4)
    code = "import grp, os, pathlib, shlex, sys; from exo_supervisor.cli import look, main\n"
    code += "os.setgroups([]); os.setuid(65534); sys.exit(main())"
    run = subprocess.run(  # noqa: S603  our own interpreter and words
        [sys.executable, "-c", code, "status", "--socket", str(service.path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert run.returncode == 69
    assert run.stderr == (
        "error: no service answers\n"
        f"  why: {service.path}: permission denied, its group is adm\n"
        '  try: sudo usermod -aG adm "$USER" and log in again\n'
    )


def test_the_exit_code_reaches_the_shell(folder: Path) -> None:
    process = start("status", "--socket", str(folder / "none"))
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == 69


def test_a_config_file_that_is_missing_ends_run_and_check_with_78(folder: Path) -> None:
    pytest.importorskip("exo_supervisor.app")
    for verb in ("run", "check", "config"):
        process = start(verb, "--config", str(folder / "none.toml"))
        _, err = process.communicate(timeout=TIMEOUT)
        assert (process.returncode, b"none.toml" in err) == (78, True)
