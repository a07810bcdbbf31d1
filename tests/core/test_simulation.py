"""Random hours of traffic, churn and faults: the machine's promises hold after every event."""

import subprocess
import sys
from os import environ
from pathlib import Path
from subprocess import PIPE

import pytest

from exo_supervisor.core.effects import Effect
from exo_supervisor.core.machine import Machine
from tests.core.deep import live, main
from tests.core.hours import churn, hold, hours, visit
from tests.core.simulation import POLICY, House, digest, read_line, write_line

ROOT = Path(__file__).parent.parent.parent
SEEDS = 2
"""`python -m tests.core.deep` lives through as many as one likes."""


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_promises_hold_through_random_hours(seed: int) -> None:
    visitors = hours(seed, trouble=75.0).visitors
    assert sum(visitor.ends == ["served"] for visitor in visitors) > 50, "too little ever happened"


def test_a_seed_tells_the_same_story_in_every_process() -> None:
    """Nothing in the core hangs on the order of a set, which differs between processes."""
    words = [sys.executable, "-m", "tests.core.deep", "--seed", "3", "--trouble", "10"]
    at_once = [
        subprocess.Popen(  # noqa: S603 - our own interpreter and words
            words, cwd=ROOT, env=environ | {"PYTHONHASHSEED": seed}, stdout=PIPE
        )
        for seed in ("1", "2")
    ]
    told = [process.communicate()[0] for process in at_once]
    assert b"every promise held" in told[0]
    assert told[0] == told[1]


def test_a_broken_promise_is_told_with_all_that_led_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The machine forgets a client: the story ends there, and the same seed tells it again."""

    def forgetful(house: House, effects: list[Effect]) -> None:
        check_all(house, effects)
        if len(house.visitors) == 9 and house.clients:
            house.machine.dispatch.requests.clear()

    check_all = hold
    monkeypatch.setattr("tests.core.hours.hold", forgetful)
    stories = [live(range(5, 6), 60.0) for _ in range(2)]
    assert stories[0] == stories[1]
    *lines, promise, again = stories[0].splitlines()
    assert "somebody was forgotten" in promise
    assert "--seed 5 --trouble 60" in again
    assert digest([read_line(line) for line in lines]) in again
    assert main(["--seed", "5", "--trouble", "60"]) == 1
    assert promise in capsys.readouterr().out


def test_a_logged_story_replays_to_the_same_decisions() -> None:
    """What a failing seed prints is enough to see it fail again."""
    told: list[list[Effect]] = []

    def note(_house: House, effects: list[Effect]) -> None:
        told.append(effects)

    house = House(1, note)
    visit(house, until=60.0)
    churn(house, until=60.0)
    house.live(80.0)
    machine = Machine(POLICY, 0.0)
    lines = [write_line(line) for line in house.log]
    assert [machine.handle(event, now) for now, event in map(read_line, lines)] == told
