"""The units are what systemd accepts and what the program expects."""

import configparser
import plistlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from exo_supervisor.cli.parse import parse
from exo_supervisor.config.where import SYSTEM_STATE
from exo_supervisor.host.unix import BACKLOG

UNITS = Path(__file__).parents[2] / "systemd"


def unit(kind: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)  # a key may come again
    parser.read(UNITS / f"exo-supervisor.{kind}")
    return parser


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    program = tmp_path / "exo-supervisor"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    service = (UNITS / "exo-supervisor.service").read_text()
    installed = "ExecStart=/usr/local/bin/exo-supervisor run\n"
    assert installed in service
    service = service.replace(installed, f"ExecStart={program} run\n")
    (tmp_path / "exo-supervisor.service").write_text(service)
    shutil.copy(UNITS / "exo-supervisor.socket", tmp_path)
    units = [str(tmp_path / f"exo-supervisor.{kind}") for kind in ("service", "socket")]
    verified = subprocess.run(  # noqa: S603 - our own command
        [analyze, "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_units_and_the_program_agree() -> None:
    service, opened = unit("service")["Service"], unit("socket")["Socket"]
    assert service["Type"] == "notify", "READY=1 is sent"
    assert float(service["TimeoutStopSec"]) > 30.0, "a drain may take its 30 seconds"
    rests = service["RestartPreventExitStatus"].split()
    assert rests == ["78", "243"], "a wrong configuration, or a key that is not there, stays so"
    assert f"in {'|'.join(rests)})" in service["ExecStopPost"], "its socket rests, too"
    assert opened["ListenStream"] == f"/run/{service['RuntimeDirectory']}/api.sock"
    assert service["RuntimeDirectoryPreserve"] == "yes", "the socket's file outlasts a restart"
    assert int(opened["Backlog"]) == BACKLOG
    assert opened["SocketMode"] == "0660"
    assert f"/var/lib/{service['StateDirectory']}" == SYSTEM_STATE
    assert service["StateDirectoryMode"] == "0700", "what is kept there is nobody else's"


def test_what_is_exposed_is_little(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    unit_file = tmp_path / "exo-supervisor.service"
    shutil.copy(UNITS / "exo-supervisor.service", unit_file)
    told = subprocess.run(  # noqa: S603 - our own command
        [analyze, "security", "--offline=true", "--no-pager", str(unit_file)],
        capture_output=True,
        text=True,
        check=True,
    )
    (figure,) = re.findall(r"exposure level for .*: ([\d.]+) ", told.stdout)
    assert float(figure) <= 1.5


def test_it_is_bounded_has_no_capability_and_dumps_no_core() -> None:
    service = unit("service")["Service"]
    assert service["MemoryMax"] == "2G"
    assert int(service["TasksMax"]) >= 64
    assert service["LimitCORE"] == "0"
    assert (service["CapabilityBoundingSet"], service["AmbientCapabilities"]) == ("", "")
    raw = (UNITS / "broadcast.conf").read_text()
    assert "AmbientCapabilities=CAP_NET_RAW" in raw


def test_the_agent_of_launchd_runs_what_the_program_is() -> None:
    agent = plistlib.loads((UNITS / "exo-supervisor.plist").read_bytes())
    assert (agent["Label"], agent["RunAtLoad"]) == ("exo-supervisor", True)
    assert agent["KeepAlive"] == {"SuccessfulExit": False}, "a finished drain stays finished"
    assert agent["ExitTimeOut"] > 30.0, "a drain may take its 30 seconds"
    shell, flag, script = agent["ProgramArguments"]
    assert (shell, flag) == ("/bin/sh", "-c")
    words = shlex.split(script.partition(" 2>>")[0])
    assert words == ["exec", "$HOME/.local/bin/exo-supervisor", "run"]
    assert parse(words[2:]).verb == "run"
