"""A program that people use is told where the service is, and its file comes back as it was."""

import json
import os
import stat
import subprocess
import sys
from base64 import urlsafe_b64decode
from pathlib import Path
from tomllib import loads

import pytest
from cryptography.fernet import Fernet

from exo_supervisor.cli import own_file
from exo_supervisor.cli.edits import NotMergedError, merged_json, merged_toml, merged_yaml
from exo_supervisor.cli.errors import VerbError
from exo_supervisor.cli.fernet import encrypt
from exo_supervisor.cli.programs import PROGRAMS
from exo_supervisor.client.json_object import fields, objects
from tests.cli.conftest import Service

TOKEN = "the-token-of-this-person"
URL = "http://127.0.0.1:11435"
MANAGER = "token-manager"
FILES = [name for name, each in PROGRAMS.items() if each.file]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a person a home, with a token, in which no program has been moved elsewhere."""
    for name in list(os.environ):
        if name.startswith(("EXO_SUPERVISOR", "CODEX", "CLAUDE", "LLM_", "OPENCODE", "PI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EXO_SUPERVISOR_TOKEN", TOKEN)
    return tmp_path


def path_of(home: Path, name: str) -> Path:
    return home / PROGRAMS[name].file.rpartition(":~/")[2].removeprefix("~/")


def says(service: Service, tcp: str = "127.0.0.1:11435") -> None:
    server = {"tcp": tcp, "token_env": "EXO_SUPERVISOR_TOKEN"}
    service.says("GET /supervisor/config", {"file": "/f.toml", "config": {"server": server}})
    service.says("GET /supervisor/models", {"models": [{"id": "m", "state": "ready"}]})


@pytest.mark.real_time
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_has_to_be_set_is_printed_and_never_the_token(
    service: Service, home: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert home
    says(service)
    assert service.main("connect", name) == 0
    said = capsys.readouterr()
    assert URL in said.out
    assert service.main("connect", name, "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["client"] == name
    assert TOKEN not in said.out + said.err + told.out + told.err


@pytest.mark.real_time
@pytest.mark.parametrize("name", FILES)
def test_a_file_is_written_once_and_taken_back_byte_for_byte(
    service: Service, home: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """New, and on top of what a person has there."""
    says(service)
    path = path_of(home, name)
    for was in (None, OWN[PROGRAMS[name].edit]):
        if was is not None:
            path.write_bytes(was)
            path.chmod(0o640)
        assert service.main("connect", name, "--write") == 0
        written = path.read_bytes()
        assert URL.encode() in written
        private = was is None or "$TOKEN" in json.dumps(PROGRAMS[name].entry) or MANAGER in name
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if private else 0o640)
        side = path.with_name(path.name + ".exo-supervisor-undo")
        assert stat.S_IMODE(side.stat().st_mode) == 0o600
        assert service.main("connect", name, "--undo") == 0
        assert (path.read_bytes() if path.exists() else None) == was
        assert was is None or stat.S_IMODE(path.stat().st_mode) == 0o640
        assert service.main("connect", name, "--undo") == 0
        assert sorted(each.name for each in path.parent.iterdir()) == [path.name] * (
            was is not None
        )
    said = capsys.readouterr()
    assert "already without it" in said.out
    assert TOKEN not in said.out + said.err


OWN = {
    "json": b'{"env": {"A": "b"},\n "provider":{"own":{"models":{}}}, "n": 1.50}',
    "toml": b'# mine\nmodel = "gpt" # why\n[model_providers.own]\nname = "own"',
    "yaml": b"# mine\n",
    "manager": json.dumps({"providers": [{"name": "OpenRouter"}], "x": 1}).encode(),
}


@pytest.mark.real_time
def test_what_a_person_has_in_a_file_stays_in_it(service: Service, home: Path) -> None:
    says(service)
    for name in ("opencode", "codex"):
        path = path_of(home, name)
        path.parent.mkdir(parents=True)
        path.write_bytes(OWN[PROGRAMS[name].edit])
        assert service.main("connect", name, "--write", "--model", 'a"b') == 0
    opencode = json.loads(path_of(home, "opencode").read_text())
    assert opencode["provider"]["own"] == {"models": {}}
    ours = opencode["provider"]["exo-supervisor"]
    assert ours["options"] == {"baseURL": f"{URL}/v1", "apiKey": "{env:EXO_SUPERVISOR_TOKEN}"}
    assert ours["models"] == {'a"b': {"name": 'a"b'}}
    codex = loads(path_of(home, "codex").read_text())
    assert codex["model_providers"].keys() == {"own", "exo-supervisor"}
    assert (codex["model"], codex["model_provider"]) == ('a"b', "exo-supervisor")
    assert b"# mine" in path_of(home, "codex").read_bytes()


@pytest.mark.real_time
def test_a_second_time_nothing_is_added_and_the_first_state_is_kept(
    service: Service, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    says(service)
    path = path_of(home, "aider")
    path.write_text("dark-mode: true\n")
    assert service.main("connect", "aider", "--write") == 0
    assert service.main("connect", "aider", "--write") == 0
    assert capsys.readouterr().out == f"{path}: changed\n{path}: already so\n"
    assert service.main("connect", "aider", "--write", "--model", "other") == 0
    assert path.read_text().count("model: ") == 1
    assert service.main("connect", "aider", "--undo") == 0
    assert path.read_text() == "dark-mode: true\n"


@pytest.mark.real_time
def test_ai_token_manager_gets_an_entry_that_it_loads_put_first(
    service: Service, home: Path
) -> None:
    """As it reads it: Fernet of the token in base64 once more, under the key that it makes too."""
    says(service)
    path, key = path_of(home, "token-manager"), home / ".token_manager_key"
    assert service.main("connect", "token-manager", "--write") == 0
    entry = entries(path)[0]
    assert entry["name"] == "OpenRouter"
    token = entry["api_key_encrypted"]
    assert isinstance(token, str)
    assert Fernet(key.read_bytes()).decrypt(urlsafe_b64decode(token)).decode() == TOKEN
    assert stat.S_IMODE(key.stat().st_mode) == stat.S_IMODE(path.stat().st_mode) == 0o600
    assert service.main("connect", "token-manager", "--undo") == 0
    assert not path.exists()
    assert not key.exists()
    key.write_bytes(Fernet.generate_key())
    path.write_text(
        json.dumps({"providers": [{"name": "OpenRouter"}], "current_provider_index": 7})
    )
    assert service.main("connect", "token-manager", "--write") == 0
    assert [each["name"] for each in entries(path)] == ["Together AI", "OpenRouter"]
    assert json.loads(path.read_text())["current_provider_index"] == 0
    assert service.main("connect", "token-manager", "--undo") == 0
    assert key.exists()


def entries(path: Path) -> list[dict[str, object]]:
    return objects(fields(json.loads(path.read_text()))["providers"])


def test_fernet_is_fernet_s() -> None:
    key = Fernet.generate_key()
    for text in (b"", b"x" * 15, b"x" * 16, TOKEN.encode()):
        assert Fernet(key).decrypt(encrypt(key, text)) == text
    oracle = Fernet(key)._encrypt_from_parts(b"text", 77, b"s" * 16)  # noqa: SLF001 - the one with no chance in it  # pyright: ignore[reportPrivateUsage]
    assert encrypt(key, b"text", now=77.9, salt=b"s" * 16) == oracle
    with pytest.raises(ValueError, match="none of Fernet's"):
        encrypt(b"c2hvcnQ=", b"text")


# ------------------------------------------------------------------ what stands in the way


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("was", "why"),
    [
        ('{"a": 1,', "may be torn"),
        ('{\n  // mine\n  "a": 1}', "comments would be lost"),
        ("[1]", "no JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_merged_stays_as_it_is(
    service: Service, home: Path, was: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    says(service)
    path = path_of(home, "claude-code")
    path.parent.mkdir()
    path.write_text(was, errors="surrogateescape")
    assert service.main("connect", "claude-code", "--write") == 1
    assert f"{path} stays as it is" in (said := capsys.readouterr().err).replace("\n       ", " ")
    assert why in said
    assert path.read_text(errors="surrogateescape") == was
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_file_that_was_changed_since_is_not_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("was")
    assert own_file.change(path, lambda text: f"{text} and is")
    path.write_text("was and is mine")
    for act in (lambda: own_file.undo(path), lambda: own_file.change(path, str.upper)):
        with pytest.raises(VerbError, match="was changed since connect wrote it"):
            act()
    assert path.read_text() == "was and is mine"


def test_a_file_that_somebody_took_away_is_written_anew_and_taken_back(tmp_path: Path) -> None:
    (path := tmp_path / "file").write_text("was")
    for _ in range(2):
        assert own_file.change(path, str.upper)
        assert path.read_text() == "WAS"
        path.unlink()
    assert own_file.undo(path)
    assert path.read_text() == "was"


def test_a_file_that_changes_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("was")

    def edit(text: str) -> str:
        path.write_text("somebody else's")
        return f"{text} and is"

    with pytest.raises(VerbError, match="was changed meanwhile"):
        own_file.change(path, edit)
    assert path.read_text() == "somebody else's"


def test_a_link_is_followed_and_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("was")
    (link := tmp_path / "link").symlink_to("there")
    assert own_file.change(link, str.upper)
    assert link.is_symlink()
    assert (tmp_path / "there").read_text() == "WAS"
    with pytest.raises(VerbError, match="cannot be changed"):
        own_file.change(tmp_path, str.upper)
    with pytest.raises(VerbError, match="cannot be changed"):
        own_file.change(tmp_path / "there" / "below", str.upper, "x")


@pytest.mark.parametrize("torn", ["{", '{"before": "d2F", "mode": 384, "after": "x"}'])
def test_a_torn_undo_is_told(tmp_path: Path, torn: str) -> None:
    (path := tmp_path / "file").write_text("was")
    (tmp_path / "file.exo-supervisor-undo").write_text(torn)
    for act in (lambda: own_file.undo(path), lambda: own_file.change(path, str.upper)):
        with pytest.raises(VerbError, match="is torn"):
            act()


def test_a_file_that_stands_as_it_was_before_is_written_again_and_taken_back(
    tmp_path: Path,
) -> None:
    """A person put it back by hand, or the first write broke off between its two files."""
    (path := tmp_path / "file").write_text("was")
    for _ in range(2):
        assert own_file.change(path, str.upper)
        assert path.read_text() == "WAS"
        path.write_text("was")
    assert own_file.undo(path)
    assert path.read_text() == "was"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to what is read-only")
def test_a_read_only_file_is_told(tmp_path: Path) -> None:
    (path := tmp_path / "file").write_text("was")
    path.chmod(0o400)
    with pytest.raises(VerbError, match="cannot be changed"):
        own_file.change(path, str.upper)


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("connect",), "connect wants a program"),
        (("connect", "codx"), "similar: `codex`"),
        (("connect", "n8n", "--write"), "keeps this in no file"),
        (("connect", "codex", "--write", "--undo"), "one thing at a time"),
        (("connect", "codex", "more"), "one thing at a time"),
        (("connect", "pi", "--run"), "from its own file or page"),
    ],
)
def test_misuse_is_told(
    service: Service, home: Path, argv: tuple[str, ...], said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert home
    says(service)
    assert service.main(*argv) == 2
    assert said in capsys.readouterr().err


@pytest.mark.real_time
def test_without_a_listener_a_token_or_a_model_it_says_what_to_set(
    service: Service, home: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    says(service, tcp="")
    assert service.main("connect", "codex") == 1
    assert 'server.tcp = "127.0.0.1:11435" in /f.toml' in capsys.readouterr().err
    says(service)
    service.says("GET /supervisor/models", {"models": []})
    assert service.main("connect", "codex", "--write") == 1
    assert "connect codex --model NAME" in capsys.readouterr().err
    monkeypatch.delenv("EXO_SUPERVISOR_TOKEN")
    for name in ("claude-code", "token-manager"):
        assert service.main("connect", name, "--write", "-m", "m") == 1
        assert "EXO_SUPERVISOR_TOKEN is not set here" in capsys.readouterr().err
    assert not any(home.rglob("*.json"))


@pytest.mark.real_time
@pytest.mark.parametrize("name", ["claude-code", "codex", "opencode", "aider", "ollama"])
def test_a_program_is_started_with_all_that_it_needs(
    service: Service, home: Path, name: str
) -> None:
    says(service)
    program = home / PROGRAMS[name].command
    program.write_text('#!/bin/sh\nenv > seen; printf "%s\\n" "$@" >> seen\n')
    program.chmod(0o755)
    code = (
        f"import os; os.chdir({str(home)!r}); from exo_supervisor.cli import main\n"
        f"main(['connect', {name!r}, '--run', '--socket', {str(service.path)!r}, '--', '-p', 'x'])"
    )
    environ = {"PATH": f"{home}:/usr/bin:/bin", "HOME": str(home), "EXO_SUPERVISOR_TOKEN": TOKEN}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)  # noqa: S603
    seen = (home / "seen").read_text()
    assert seen.endswith("-p\nx\n")
    assert URL in seen
    assert TOKEN in seen


@pytest.mark.real_time
def test_a_program_that_is_not_there_is_told(
    service: Service, home: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    says(service)
    monkeypatch.setenv("PATH", str(home))
    assert service.main("connect", "claude-code", "--run") == 1
    assert "claude could not be started" in capsys.readouterr().err


# ------------------------------------------------------------------ the three kinds of text


@pytest.mark.parametrize(
    ("below", "above", "merged"),
    [
        ({"a": 1, "b": {"c": 2}}, {"b": {"d": 3}}, {"a": 1, "b": {"c": 2, "d": 3}}),
        ({"a": {"b": 1}}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
        ({}, {"a": [1]}, {"a": [1]}),
    ],
)
def test_nothing_is_lost_of_a_json_object(
    below: dict[str, object], above: dict[str, object], merged: dict[str, object]
) -> None:
    assert json.loads(merged_json(json.dumps(below), above)) == merged
    assert list(json.loads(merged_json(json.dumps(below), above)))[: len(below)] == list(below)


@pytest.mark.parametrize(
    "text",
    [
        "model = '''\nx\n'''",
        'model_provider.x = "y"',
        '[model_providers.exo-supervisor]\nname = "mine"',
        'model_providers = {own = {name = "own"}}',
        "= torn",
    ],
)
def test_toml_that_only_a_person_can_change_is_refused(text: str) -> None:
    with pytest.raises((NotMergedError, ValueError)):
        merged_toml(text, PROGRAMS["codex"].entry)


ITEMS = [{"name": "n: 1", "model": "m"}]


@pytest.mark.parametrize(
    ("text", "entry", "merged"),
    [
        ("", ITEMS, '- name: "n: 1"\n  model: "m"\n'),
        ("  - a: 1", ITEMS, '  - a: 1\n  - name: "n: 1"\n    model: "m"\n'),
        ("a: 1", {"models": ITEMS}, 'a: 1\nmodels:\n  - name: "n: 1"\n    model: "m"\n'),
        (
            "models: # mine\n\n- a: 1\nb: 2\n",
            {"models": ITEMS},
            'models: # mine\n- name: "n: 1"\n  model: "m"\n\n- a: 1\nb: 2\n',
        ),
        ("models:", {"models": ITEMS}, 'models:\n  - name: "n: 1"\n    model: "m"\n'),
        ("a: 1\n", {"b": "c"}, 'a: 1\nb: "c"\n'),
    ],
)
def test_yaml_gets_our_part_beside_what_it_has(text: str, entry: object, merged: str) -> None:
    assert merged_yaml(text, entry) == merged


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("{a: 1}", {"b": "c"}),
        ("a:\n\tb: 1", {"b": "c"}),
        ("a: 1\n...\n", {"b": "c"}),
        ("a: 1", ITEMS),
        ("models: []", {"models": ITEMS}),
        ("x: 1\nmodel: y", {"model": "z"}),
    ],
)
def test_yaml_that_only_a_person_can_change_is_refused(text: str, entry: object) -> None:
    with pytest.raises(NotMergedError):
        merged_yaml(text, entry)
