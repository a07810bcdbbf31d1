"""`models place` and `models remove`: one line, old state to new; only a terminal is asked."""

import json

import pytest

from exo_supervisor.cli.errors import VerbError
from exo_supervisor.cli.models import models
from exo_supervisor.cli.parse import Arguments, parse
from tests.cli.conftest import Answerer, Handler, Service, whole

pytestmark = pytest.mark.real_time
Out = pytest.CaptureFixture[str]
NODE = "192.168.1.5:52415"
PATH = "/supervisor/models/org%2Fm"


def row(state: str, *, at: str | None = NODE, placement: object = None) -> dict[str, object]:
    where = [{"target": at, "model": "org/m", "ready": state == "ready", "why": ""}] if at else []
    cloud = {"target": "openrouter", "model": "m", "ready": True, "why": ""}
    shown = {"id": "org/m", "state": state, "where": [*where, cloud], "placement": placement}
    return {"model": shown}


def stage(state: str, **more: object) -> dict[str, object]:
    return {"state": state, "cluster": NODE, "why": None, "failures": 0, **more}


def in_turn(*bodies: object) -> Answerer:
    """Answer with one body after the other; the last one stays."""
    left = list(bodies)

    def answer(handler: Handler) -> None:
        whole(left.pop(0) if len(left) > 1 else left[0])(handler)

    return answer


def asked(service: Service, *words: str) -> Arguments:
    """Return the arguments of `models` at this service."""
    return parse(["models", *words, "--socket", str(service.path)])


def test_placing_says_old_state_and_new(service: Service, capsys: Out) -> None:
    steps = [stage("asked"), stage("awaited")]
    service.on(
        f"GET {PATH}",
        in_turn(
            row("down", at=None),
            *(row("loading", at=None, placement=each) for each in steps),
            row("loading", placement=stage("loading", why="loading")),
        ),
    )
    service.says(f"POST {PATH}/place", row("loading", at=None, placement=stage("resting")))
    assert models(asked(service, "place", "org/m"), pause=0.01) == 0
    assert capsys.readouterr().out == f"org/m: down -> loading at {NODE}\n"


def test_placing_what_stands_changes_nothing(service: Service, capsys: Out) -> None:
    service.says(f"GET {PATH}", row("ready"))
    service.says(f"POST {PATH}/place", row("ready"))
    assert service.main("models", "place", "org/m") == 0
    assert capsys.readouterr().out == f"org/m: already ready at {NODE}\n"


@pytest.mark.parametrize("end", ["resting", "given_up"])
def test_a_placement_that_fails_says_why(service: Service, capsys: Out, end: str) -> None:
    failed = row("down", at=None, placement=stage(end, why="needs 40 GB", failures=1))
    service.says(f"GET {PATH}", row("down", at=None))
    service.says(f"POST {PATH}/place", failed)
    assert service.main("models", "place", "org/m") == 1
    assert capsys.readouterr().err == "error: org/m was not placed\n  why: needs 40 GB\n"


def test_an_order_that_shows_nothing_is_not_waited_for_for_ever(service: Service) -> None:
    service.says(f"GET {PATH}", row("loading", at=None, placement=stage("asked")))
    service.says(f"POST {PATH}/place", row("loading", at=None, placement=stage("asked")))
    with pytest.raises(VerbError, match="nothing shows of it yet"):
        models(asked(service, "place", "org/m"), patience=0.05, pause=0.01)


def test_removing_says_how_to_undo_it(service: Service, capsys: Out) -> None:
    removing = row("ready", placement=stage("removing"))
    service.on(f"GET {PATH}", in_turn(row("ready"), row("ready"), removing, row("cloud", at=None)))
    service.says(f"POST {PATH}/remove", removing)
    assert models(asked(service, "remove", "org/m", "--yes"), pause=0.01) == 0
    assert capsys.readouterr().out == "org/m: ready -> cloud\n"


def test_removing_what_stands_nowhere_changes_nothing(service: Service, capsys: Out) -> None:
    service.says(f"GET {PATH}", row("down", at=None))
    service.says(f"POST {PATH}/remove", row("down", at=None))
    assert service.main("models", "remove", "org/m", "--yes") == 0
    assert capsys.readouterr().out == "org/m: already on no node\n"


def test_what_cannot_be_removed_is_a_failure(service: Service) -> None:
    service.says(f"GET {PATH}", row("ready"))
    service.says(f"POST {PATH}/remove", row("ready"))
    with pytest.raises(VerbError, match=f"still stands at {NODE}"):
        models(asked(service, "remove", "org/m", "--yes"), patience=0.05, pause=0.01)


def test_a_script_that_removes_must_say_yes(service: Service, capsys: Out) -> None:
    service.says(f"GET {PATH}", row("ready"))
    assert service.main("models", "remove", "org/m") == 2
    assert capsys.readouterr().err == (
        f"error: org/m runs at {NODE}: removing it ends its answers there\n"
        "  try: exo-supervisor models remove org/m --yes\n"
    )
    assert [seen.method for seen in service.seen] == ["GET"]


def test_json_is_the_service_s_own_and_asks_nothing(service: Service, capsys: Out) -> None:
    service.says(f"GET {PATH}", row("ready"))
    service.says(f"POST {PATH}/remove", row("down", at=None))
    assert service.main("models", "remove", "org/m", "--json") == 0
    assert json.loads(capsys.readouterr().out) == row("down", at=None)


@pytest.mark.parametrize("words", [["destroy", "m"], ["place"]])
def test_what_it_does_not_understand(service: Service, capsys: Out, words: list[str]) -> None:
    assert service.main("models", *words) == 2
    assert "models wants place or remove and a name" in capsys.readouterr().err
    assert service.seen == []
