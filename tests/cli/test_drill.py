"""`drill` as a process: a scorecard, an object, or an error that names what did not hold."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import start

pytestmark = [pytest.mark.real_time, pytest.mark.alone]

TIMEOUT = 200
CONFIG = """\
[timeouts]
headers = 0.4
first_content = 0.4
first_content_max = 0.4
stall = 0.4
[breaker]
rest = 0.3
[routing]
patience = 0.0
[[provider]]
name = "far"
base_url = "https://far.invalid/v1"
key_env = "FAR_KEY"
[[model]]
name = "house"
exo = "some/model"
cloud = ["far/x"]
"""
UNSERVED = '[[model]]\nname = "lost"\ncloud = ["far/x"]\n'


def drill(folder: Path, *words: str, text: str = CONFIG) -> tuple[int, list[str], str]:
    file = folder / "supervisor.toml"
    file.write_text(text)
    process = start("drill", "--config", str(file), *words)
    out, err = process.communicate(timeout=TIMEOUT)
    return process.returncode, out.decode().splitlines(), err.decode()


def test_the_card_fits_a_terminal_and_every_line_of_it_is_ok(folder: Path) -> None:
    code, lines, err = drill(folder)
    assert (code, err) == (0, "")
    head, rows, last = lines[:4], lines[4:-1], lines[-1]
    assert head[1:3] == [f"Settings: {folder / 'supervisor.toml'}.", "Model: house, as configured."]
    assert "1/12" in head[3]
    assert {row[:6] for row in rows} == {"ok    "}
    assert last == f"All {len(rows)} hold: every answer was whole or a clear error."
    assert max(len(line) for line in [*head[2:], *rows, last]) <= 80
    assert all(ord(char) < 128 for line in lines for char in line)


def test_as_json_it_is_one_object(folder: Path) -> None:
    private = CONFIG.replace('name = "house"', 'name = "house"\nprivacy = "local_only"')
    code, lines, err = drill(folder, "--json", "--model", "house", text=private)
    assert (code, err, len(lines)) == (0, "", 1)
    body = json.loads(lines[0])
    assert (body["ok"], body["model"]) == (True, "house")
    assert all(row["ok"] for row in body["rows"])
    assert not any("far" in row["text"] for row in body["rows"])


def test_what_does_not_hold_is_named_in_the_last_line(folder: Path) -> None:
    """A model that only a cloud has, in a house that never asks one."""
    text = CONFIG.replace("[routing]", '[routing]\norder = ["exo"]') + UNSERVED
    code, lines, err = drill(folder, "--model", "lost", text=text)
    assert code == 1
    assert lines[-1].startswith("fail  no fault ")
    last = " ".join(err.split())  # it is wrapped where the path makes it longer than 80 columns
    assert last.startswith("error: the drill failed at no fault; its log is /")
    log = Path(last.rpartition(" ")[2])
    assert "request_done" in log.read_text()
    log.unlink()
    log.parent.rmdir()


def test_a_model_that_is_not_configured_is_a_usage_error(folder: Path) -> None:
    code, lines, err = drill(folder, "--model", "hose")
    assert (code, lines) == (2, [])
    assert err == (
        "error: no [[model]] is named `hose`, similar: `house`\n"
        "  try: exo-supervisor drill --model house\n"
    )
