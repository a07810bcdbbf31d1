"""`nodes trust` and `nodes untrust`: one line a node, how to undo it, and who is trusted."""

import json

import pytest

from tests.cli.conftest import Service, whole

pytestmark = pytest.mark.real_time
Out = pytest.CaptureFixture[str]
ONE, TWO = "10.0.0.7:52415", "10.0.0.8:52415"


def node(identity: str, trust: str) -> dict[str, object]:
    return {"id": identity, "generation": "C", "cluster": identity, "rung": "ready", "trust": trust}


@pytest.mark.parametrize(
    ("words", "route", "changed", "line", "undo"),
    [
        (("trust", ONE), f"POST /supervisor/nodes/{ONE}/trust", [ONE], "trusted, also", ONE),
        (("trust", "--all"), "POST /supervisor/nodes/trust", [ONE, TWO], "trusted, also", "--all"),
        (("untrust", ONE), f"POST /supervisor/nodes/{ONE}/untrust", [ONE], "trusted no more", ""),
        (("untrust", "--all"), "POST /supervisor/nodes/untrust", [TWO], "trusted no more", ""),
        (("trust", ONE), f"POST /supervisor/nodes/{ONE}/trust", [], "nothing to trust", ""),
    ],
)
def test_what_was_done_is_said_and_how_to_undo_it(
    service: Service, capsys: Out, words: tuple[str, ...], route: str, changed: list[str],
    line: str, undo: str,
) -> None:  # fmt: skip
    service.says(route, {"nodes": [], "changed": changed, "kept": True})
    assert service.main("nodes", *words) == 0
    out, err = capsys.readouterr()
    assert out.count(line) == max(1, len(changed))
    assert (f"undo: exo-supervisor nodes untrust {undo}" in err) == bool(undo)


@pytest.mark.parametrize(
    ("word", "changed", "line"),
    [
        ("trust", [ONE], "trusted, but only until the service restarts"),
        ("untrust", [ONE], "trusted no more, but only until the service restarts"),
        ("untrust", [], "nothing to untrust"),
    ],
)
def test_what_could_not_be_kept_is_said_and_what_to_do(
    service: Service, capsys: Out, word: str, changed: list[str], line: str
) -> None:
    said = {"nodes": [], "changed": changed, "kept": False, "why": "no space\x1b left on device"}
    service.says(f"POST /supervisor/nodes/{ONE}/{word}", said)
    assert service.main("nodes", word, ONE) == 1
    out, err = capsys.readouterr()
    assert out == f"{ONE}: {line}\n" if changed else line in out
    assert "the state directory does not hold who is trusted" in err
    assert "no space left on device" in err
    assert f"exo-supervisor nodes {word} {ONE}" in err
    assert service.main("nodes", word, ONE, "--json") == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["kept"] is False
    assert json.loads(err)["error"]["code"] == "failed"


def test_what_could_not_be_kept_of_all_is_said_again_of_all(service: Service, capsys: Out) -> None:
    said = {"nodes": [], "changed": [ONE, TWO], "kept": False, "why": "read-only file system"}
    service.says("POST /supervisor/nodes/untrust", said)
    assert service.main("nodes", "untrust", "--all") == 1
    assert "exo-supervisor nodes untrust --all" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("trust",), ("trust", ONE, "--all"), ("pin", ONE), ("--all",)])
def test_what_is_unclear_is_not_done(service: Service, words: tuple[str, ...]) -> None:
    assert service.main("nodes", *words) == 2


def test_what_was_forgotten_is_said(service: Service, capsys: Out) -> None:
    service.says("POST /supervisor/nodes/forget", {"forgotten": [ONE]})
    assert service.main("nodes", "--forget") == 0
    assert capsys.readouterr().out == f"{ONE}: forgotten\n"
    service.says("POST /supervisor/nodes/forget", {"forgotten": []})
    assert service.main("nodes", "--forget") == 0
    assert "already forgotten" in capsys.readouterr().out
    assert service.main("nodes", "--forget", "--json") == 0
    assert capsys.readouterr().out == '{"forgotten": []}\n'
    assert service.main("nodes", "trust", ONE, "--forget") == 2


def test_who_may_not_is_told_so(service: Service, capsys: Out) -> None:
    error = {"message": "only root may", "type": "x", "code": "not_allowed", "param": None}
    service.on(f"POST /supervisor/nodes/{ONE}/trust", whole({"error": error}, 403))
    assert service.main("nodes", "trust", ONE) == 1
    assert "only root may" in capsys.readouterr().err


def test_nodes_and_status_show_trust_and_the_one_command(service: Service, capsys: Out) -> None:
    service.says("GET /supervisor/nodes", {"nodes": [node(ONE, "named"), node(TWO, "found")]})
    assert service.main("nodes") == 0
    out = capsys.readouterr().out
    assert f"trusted: {ONE} (named)" in out
    assert f"exo-supervisor nodes trust {TWO}" in out
    command = "exo-supervisor nodes trust --all"
    status = {"ready": True, "trust": {"named": 1, "found": 2}, "to_trust": command}
    service.says("GET /supervisor/status", status)
    assert service.main("status") == 0
    assert f"1 trusted, 2 only found: {command}" in capsys.readouterr().out


def test_nodes_shows_how_each_was_found(service: Service, capsys: Out) -> None:
    """Nodes that were found in the same ways share a line, and lines fit the screen."""
    lan = [node(f"10.0.1.{n}:52415", "named") | {"sources": ["crawl", "mdns"]} for n in range(9)]
    seed = node(ONE, "named") | {"sources": ["static"]}
    service.says("GET /supervisor/nodes", {"nodes": [seed, node(TWO, "named"), *lan]})
    assert service.main("nodes") == 0
    out = capsys.readouterr().out
    assert f"\nfound by static: {ONE}\nfound by crawl, mdns: 10.0.1.0:52415, 10.0.1.1" in out
    assert TWO not in out[out.index("found by") :]
    assert max(map(len, out.splitlines())) <= 80
