"""The README tells the truth: its commands run, its files exist, its output is what is printed."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from exo_supervisor.cli.verbs import VERBS
from exo_supervisor.config.read import read
from exo_supervisor.core.requests.candidates import Block
from tests.budget import EVER

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def block(kind: str, holding: str) -> str:
    return next(text for name, text in BLOCKS if name == kind and holding in text)


def test_it_is_short_and_its_first_screen_leads_to_the_use_of_it() -> None:
    lines = README.splitlines()
    assert len(lines) <= 260
    assert lines.index("## What it promises") <= 40


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    inside = [link for link in links if not link.startswith("https://")]
    assert inside
    assert [link for link in inside if not (ROOT / link).exists()] == []


def test_its_two_commands_come_first_and_the_gate_runs_the_second() -> None:
    first, second = block("sh", "demo").splitlines()
    assert first.startswith("python3 -m venv .venv && ")
    assert first.endswith("exo-supervisor demo")
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    pattern = re.search(r"-o '(.*)' README.md", gate)
    assert pattern
    assert re.findall(pattern[1], README, re.MULTILINE) == [second]


def test_every_verb_in_it_exists() -> None:
    verbs = re.findall(r"exo-supervisor (?!-|&)([a-z]+)\b", "\n".join(text for _, text in BLOCKS))
    assert set(verbs) - {"exo"} <= set(VERBS)


def test_its_configuration_is_valid() -> None:
    settings = read(block("toml", "[[model]]"), file="README.md", environ={})
    assert [model.name for model in settings.config.models] == ["llama-3.2-3b"]


def test_it_names_every_shift() -> None:
    row = next(line for line in README.splitlines() if "`x-supervisor-shift`" in line)
    assert set(re.findall(r"`([a-z_]+)`", row)) == {b.value for b in Block} | {"panic", "route"}


@pytest.mark.alone
@pytest.mark.real_time
async def test_the_demo_prints_what_it_shows() -> None:
    done = await anyio.run_process([sys.executable, "-m", "exo_supervisor", "demo"])

    def skeleton(text: str) -> list[str]:
        return [re.sub(r"\d+", "0", line).strip() for line in text.splitlines()]

    shown, printed = skeleton(block("", "Pretend")), skeleton(done.stdout.decode())
    assert printed[0] == shown[0]
    assert [line[:28] for line in printed] == [line[:28] for line in shown]


@pytest.mark.alone
@pytest.mark.real_time
async def test_its_curl_and_its_python_get_answers(tmp_path: Path) -> None:
    """Word for word; `python -m tests.boot` pastes all of the README into a new Debian."""
    program = tmp_path / "exo-supervisor"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m exo_supervisor "$@"\n')
    program.chmod(0o755)
    demo = [sys.executable, "-m", "exo_supervisor", "demo", "--keep"]
    with anyio.fail_after(EVER):
        async with await anyio.open_process(demo, stdout=subprocess.DEVNULL) as stage:
            assert stage.stderr
            told = ""
            while "curl" not in told:
                told += (await stage.stderr.receive()).decode()
            env = {
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "EXO_SUPERVISOR_SERVER__SOCKET": re.findall(r"--socket (\S+)", told)[0],
            }
            answer = await anyio.run_process(["bash", "-c", block("sh", "curl")], env=env)
            code = block("python", "openai")
            said = await anyio.run_process([sys.executable, "-c", code], env=env)
            stage.send_signal(signal.SIGINT)
            assert await stage.wait() == 0
    choice = json.loads(answer.stdout)["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert said.stdout.decode().strip() == choice["message"]["content"]
