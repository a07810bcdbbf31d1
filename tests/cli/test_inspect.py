"""`inspect` on a screen: who asked what, what was sent on, what came back, in 80 columns."""

import json

import pytest

from exo_supervisor.cli import main
from exo_supervisor.cli.errors import FAILED, USAGE
from tests.cli.conftest import Service, streamed, whole

PATH = "/supervisor/inspect"
BEGUN = {
    "inspection": {
        "until": "2099-01-01T00:00:00Z", "client": "kids", "local_only": False, "requests": 20,
        "shown": 0, "passed": 0, "dropped": 0, "why": None,
    }
}  # fmt: skip
ENDED = {"ended": {"shown": 1, "passed": 2, "dropped": 3, "why": "time"}}
REQUEST = {
    "request": {
        "line": {
            "request_id": "01J9", "model": "m", "client": "kids", "dialect": "openai",
            "status": 502, "outcome": "failure", "code": "attempts_failed", "duration": 1.25,
        },
        "local_only": True,
        "asked": {
            "path": "/v1/chat/completions", "headers": {"x-note": "a\x1b[31m"},
            "body": {"text": "w" * 3000, "bytes": 3000, "pieces": 1, "cut": False},
        },
        "sent": [
            {
                "target": "n:1", "start": "POST /v1/chat/completions", "headers": {},
                "body": {"text": '{"a":1}', "bytes": 7, "pieces": 1, "cut": False},
            }
        ],
        "answer": {
            "start": "HTTP/1.1 502", "headers": {},
            "body": {"text": "data: x\n\ndata: y\n\n", "bytes": 900, "pieces": 2, "cut": True},
        },
    }
}  # fmt: skip


def lines(*said: object) -> str:
    return "".join(f"{json.dumps(each)}\n" for each in said)


def test_each_request_is_shown_from_all_sides(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    text = lines(BEGUN, REQUEST, ENDED)
    cut = len(text) // 2  # lines come in any pieces
    service.on(f"POST {PATH}?for=600.0&client=kids", streamed(text[:cut], text[cut:], done=False))
    assert service.main("inspect", "--for", "10m", "--client", "kids") == 0
    out, err = capsys.readouterr()
    shown = out.splitlines()
    assert max(map(len, [*shown, *err.splitlines()])) <= 80
    assert shown[0] == "== 01J9  m, client kids, openai, local_only"
    assert "-> POST /v1/chat/completions, 3000 B" in shown
    assert "   x-note: a[31m" in shown
    assert "   ... --json shows more" in shown
    assert "=> n:1  POST /v1/chat/completions, 7 B" in shown
    assert '   {"a":1}' in shown
    assert "<- 502 failure attempts_failed after 1.25 s, 900 B in 2 pieces" in shown
    assert shown[-3:] == ["   data: x", "   data: y", "   ... --json shows more, but not all"]
    assert len(shown) < 40
    assert "root alone may look at that" in err
    assert "Ended (time): 1 shown, 2 were local_only, 3 found no room." in err


def test_json_is_handed_on_line_by_line(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.on(f"POST {PATH}?next=3", streamed(lines(BEGUN, REQUEST, ENDED), done=False))
    assert service.main("inspect", "--next", "3", "--json") == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        BEGUN,
        REQUEST,
        ENDED,
    ]


def test_one_that_breaks_off_says_so(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.on(f"POST {PATH}?", streamed(lines(BEGUN), done=False, cut=True))
    assert service.main("inspect") == FAILED
    assert "the service's answer broke off" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (True, "inspection: ended, all of it is forgotten\n"),
        (False, "inspection: none runs\n"),
    ],
)
def test_the_one_that_runs_is_stopped(
    ended: bool, said: str, service: Service, capsys: pytest.CaptureFixture[str]  # noqa: FBT001 - a row
) -> None:  # fmt: skip
    service.on(f"DELETE {PATH}", whole({"ended": ended}))
    assert service.main("inspect", "stop") == 0
    assert capsys.readouterr().out == said
    assert service.main("inspect", "stop", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"ended": ended}


def test_another_word_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:

    assert main(["inspect", "all"]) == USAGE
    assert "inspect takes stop or nothing, got `all`" in capsys.readouterr().err
