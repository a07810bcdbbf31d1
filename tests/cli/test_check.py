"""`check`, `config` and `version` ask the running service first, and say whose view a line is."""

import json
import os
import tomllib
from pathlib import Path

import msgspec
import pytest

from exo_supervisor.cli import main
from exo_supervisor.config.read import read
from exo_supervisor.host.permissions import unreadable_for
from tests.cli.conftest import Service

pytestmark = pytest.mark.real_time
Out = pytest.CaptureFixture[str]
Json = dict[str, object]
TEXT = """
[[provider]]
name = "openrouter"
base_url = "https://openrouter.invalid/v1"
key_env = "NOT_SET_HERE"
"""
NODE: Json = {
    "id": "192.168.1.5:52415",
    "rung": "ready",
    "generation": "C",
    "models": [{"ready": True}],
}
ALONE: Json = {
    "id": "127.0.0.1:52415",
    "rung": "seen",
    "why": "nothing listens there",
    "models": [],
}


@pytest.fixture(autouse=True)
def at_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the verbs a home of their own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.delenv("EXO_SUPERVISOR_CONFIG", raising=False)
    (folder / "exo-supervisor").mkdir()
    return folder / "exo-supervisor" / "supervisor.toml"


def runs(service: Service, text: str | None, file: str | None, **more: object) -> None:
    """Let the pretend service run on a file's text."""
    settings = read(text, file=file or "", environ={})
    told = {"config": msgspec.to_builtins(settings.config), "origins": dict(settings.origins)}
    body = {"view": "service", "file": file, **told, "keys": {}, "token": None, **more}
    service.says("GET /supervisor/config", body)
    status = {"version": "9.9.9", "ready": True, "summary": "Exo serves"}
    provider = {"name": "openrouter", "state": "ready", "why": None}
    listed = [provider] if text else []
    service.says("GET /supervisor/status", {**status, "providers": listed})
    service.says("GET /supervisor/nodes", {"nodes": [NODE, ALONE]})


def test_a_sound_house_without_configuration_has_no_warning(service: Service, capsys: Out) -> None:
    runs(service, None, None)
    assert service.main("check", "--strict") == 0
    out = capsys.readouterr().out
    assert "ok   service  service:  9.9.9, Exo serves\n" in out
    assert "ok   node     service:  192.168.1.5:52415, generation C, 1 model ready\n" in out
    assert "off  node     service:  127.0.0.1:52415 seen, nothing listens there\n" in out
    assert out.endswith("Defaults hold; no warning.\n")


def test_settings_of_another_version_are_printed_as_they_came_or_not(
    service: Service, capsys: Out
) -> None:
    runs(service, None, None, config={"server": {"socket": 7}}, origins={"server.socket": None})
    assert service.main("config") == 1
    assert capsys.readouterr().err.startswith("error: the running service's settings are not those")
    assert service.main("config", "--json") == 0
    assert json.loads(capsys.readouterr().out)["config"] == {"server": {"socket": 7}}
    runs(service, None, None, origins={"server.socket": None, "log.level": "default"})
    assert service.main("config") == 0


def test_no_exo_here_and_no_service_is_no_warning_either(capsys: Out) -> None:
    assert main(["check", "--strict", "--socket", "/nonexistent/s"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["ok", "off", "off"]
    assert {line.split()[2] for line in lines[:3]} == {"here:"}


def test_a_key_that_the_service_has_is_no_key_that_is_missing(
    service: Service, at_home: Path, capsys: Out
) -> None:
    at_home.write_text(TEXT)
    runs(service, TEXT, str(at_home), keys={"openrouter": "credential openrouter"})
    assert service.main("check", "--strict") == 0
    found = "service:  openrouter ready, key set (credential openrouter)\n"
    assert f"provider  {found}" in capsys.readouterr().out


def test_a_listener_that_would_keep_the_service_from_starting_is_warned_of(
    service: Service, at_home: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(service, TEXT, str(at_home))
    at_home.write_text('[server]\ntcp = "127.0.0.1:11435"\n' + TEXT)
    monkeypatch.delenv("EXO_SUPERVISOR_TOKEN", raising=False)
    assert service.main("check", "--strict") == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "unless the service has it, it will not start: server.tcp asks" in told
    monkeypatch.setenv("EXO_SUPERVISOR_TOKEN", "a-token-long-enough-to-be-one")
    service.main("check")
    assert "it will not start" not in capsys.readouterr().out


def test_a_file_that_changed_since_the_start_is_told(
    service: Service, at_home: Path, capsys: Out
) -> None:
    runs(service, TEXT, str(at_home))
    at_home.write_text(TEXT + "[health]\ninterval = 9.0\n")
    assert service.main("check", "--strict") == 1
    told = "the file has changed since it started (health.interval): restart it"
    assert told in " ".join(capsys.readouterr().out.split())


def test_a_service_that_runs_on_no_file_is_told_to_start_anew_for_it(
    service: Service, at_home: Path, capsys: Out
) -> None:
    """A person's file is not meant for the system's service."""
    runs(service, None, None)
    at_home.write_text(TEXT)
    assert service.main("check", "--strict") == 1
    told = "it runs on no file: restart it, and it takes this one"
    assert told in " ".join(capsys.readouterr().out.split())
    service.says(
        "GET /supervisor/status", {"ready": True, "sockets": ["/run/exo-supervisor/api.sock"]}
    )
    assert service.main("check", "--strict") == 0
    assert "it runs on no file\n" in capsys.readouterr().out


def test_a_named_file_is_tried_here_whatever_runs(
    service: Service, at_home: Path, capsys: Out
) -> None:
    runs(service, None, None)
    named = at_home.with_name("named.toml")
    named.write_text("[discovery]\nstatic = []\n")
    assert service.main("check", "--config", str(named)) == 0
    assert "service" not in capsys.readouterr().out
    assert service.seen == []


def test_config_is_the_running_service_s(service: Service, capsys: Out) -> None:
    keys = {"openrouter": "credential openrouter"}
    runs(service, TEXT, "/etc/exo-supervisor/supervisor.toml", keys=keys)
    assert service.main("config") == 0
    out = capsys.readouterr().out
    first = "# /etc/exo-supervisor/supervisor.toml; as the running service has it\n"
    assert out.startswith(first)
    assert "; set (credential openrouter)" in out
    assert tomllib.loads(out)["provider"][0]["name"] == "openrouter"
    assert service.main("config", "--json") == 0
    assert json.loads(capsys.readouterr().out)["view"] == "service"


def test_config_without_a_service_is_this_shell_s(capsys: Out) -> None:
    assert main(["config", "--socket", "/nonexistent/s"]) == 0
    assert capsys.readouterr().out.startswith("# no file: ")


def test_version_tells_of_a_service_that_is_another(service: Service, capsys: Out) -> None:
    runs(service, None, None)
    assert service.main("version") == 0
    assert "the running service is 9.9.9: restart it" in capsys.readouterr().out
    assert service.main("version", "--json") == 0
    assert json.loads(capsys.readouterr().out)["service"] == "9.9.9"


def test_what_keeps_a_user_from_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("")
    assert unreadable_for("no-such-user-here", file) is None
    assert unreadable_for("root", file) is None
    if os.geteuid() != 0:
        return
    for each in (tmp_path, *tmp_path.parents):
        if each.stat().st_mode & 0o001 == 0:
            assert unreadable_for("nobody", file) is not None
            return


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_as_root_check_sees_that_the_unit_s_user_cannot_read(folder: Path) -> None:
    file = folder / "f"
    file.write_text("")
    folder.chmod(0o755)
    file.chmod(0o640)
    assert unreadable_for("nobody", file) == file.resolve()
    file.chmod(0o644)
    assert unreadable_for("nobody", file) is None
    folder.chmod(0o700)
    assert unreadable_for("nobody", file) == folder.resolve()


@pytest.mark.parametrize(
    ("default", "warned"),
    [("max_tokens = 5", False), ('response_format = { type = "json_object" }', True)],
)
def test_a_default_that_sends_a_row_away_from_exo_is_warned_of(
    at_home: Path, default: str, *, warned: bool, capsys: Out
) -> None:
    row = f'[[model]]\nname = "m"\nexo = "x"\ndefaults = {{ {default} }}\n'
    named = at_home.with_name("named.toml")
    named.write_text(f"[discovery]\nstatic = []\n{row}")
    main(["check", "--config", str(named)])
    said = "m, its defaults ask for response_format, which no Exo does" in " ".join(
        capsys.readouterr().out.split()
    )
    assert said is warned


@pytest.mark.parametrize(
    ("default", "lost"),
    [('reasoning_effort = "low"', ""), ('seed = 1, verbosity = "low"', "seed, verbosity")],
)
def test_a_default_that_messages_have_no_word_for_is_warned_of(
    at_home: Path, default: str, lost: str, capsys: Out
) -> None:
    named = at_home.with_name("named.toml")
    named.write_text(
        "[discovery]\nstatic = []\n"
        '[[provider]]\nname = "ant"\npreset = "anthropic"\n'
        '[[provider]]\nname = "oai"\npreset = "openai"\n'
        f'[[model]]\nname = "m"\ncloud = ["ant/x", "ant/y", "oai/x"]\ndefaults = {{ {default} }}\n'
    )
    main(["check", "--config", str(named)])
    out = " ".join(capsys.readouterr().out.split())
    assert out.count("which the Messages of") == bool(lost)
    if lost:
        assert f"m, its defaults ask for {lost}, which the Messages of ant have no word for" in out


def test_a_row_whose_clouds_another_row_closes_is_warned_of(at_home: Path, capsys: Out) -> None:
    named = at_home.with_name("named.toml")
    named.write_text(
        "[discovery]\nstatic = []\n"
        '[[provider]]\nname = "p"\npreset = "xai"\n'
        '[[model]]\nname = "open"\ncloud = ["p/x"]\nfallback = ["shut"]\n'
        '[[model]]\nname = "shut"\nexo = "x"\nprivacy = "local_only"\n'
        '[[model]]\nname = "home"\nexo = "x"\nfallback = ["shut"]\n'
    )
    main(["check", "--config", str(named)])
    out = " ".join(capsys.readouterr().out.split())
    assert "open, none of its requests leaves the house: a row on its way is local_only" in out
    assert "home, none" not in out
    assert "shut, none" not in out


@pytest.mark.parametrize(("currency", "warned"), [("USD", False), ("EUR", True)])
def test_what_has_no_price_since_nothing_is_exchanged_is_warned_of(
    at_home: Path, currency: str, *, warned: bool, capsys: Out
) -> None:
    named = at_home.with_name("named.toml")
    named.write_text(
        f'[discovery]\nstatic = []\n[budget]\ncurrency = "{currency}"\n'
        '[[provider]]\nname = "p"\npreset = "xai"\n[[provider]]\nname = "q"\npreset = "openai"\n'
        '[[provider]]\nname = "here"\npreset = "ollama"\nlocal = true\n'
        '[[price]]\nprovider = "q"\nmodel = "*"\ninput = 1\noutput = 1\n'
    )
    main(["check", "--config", str(named)])
    out = " ".join(capsys.readouterr().out.split())
    text = "from USD to EUR: without a [[price]] nobody knows what these ask: p"
    assert out.count(text) == warned
    assert f"{text}," not in out


def test_a_provider_that_needs_no_key_is_shown_as_that(
    service: Service, at_home: Path, capsys: Out
) -> None:
    row = '[[provider]]\nname = "openrouter"\npreset = "ollama"\n'
    named = at_home.with_name("named.toml")
    named.write_text(row)
    assert main(["config", "--config", str(named)]) == 0
    assert "# default; none needed" in capsys.readouterr().out
    runs(service, row, None, keys={"openrouter": "none needed"})
    service.main("check")
    assert "key none needed" in " ".join(capsys.readouterr().out.split())


def test_budgets_are_told_and_what_would_be_refused_under_them(at_home: Path, capsys: Out) -> None:
    """A price that is known, one that is in no book, and a list that tells its own."""
    at_home.write_text(
        '[discovery]\nstatic = []\n[budget]\nday = 0.5\n'
        '[[provider]]\nname = "openai"\npreset = "openai"\n'
        '[[provider]]\nname = "openrouter"\npreset = "openrouter"\nbudget = { month = 9 }\n'
        '[[model]]\nname = "chat"\n'
        'cloud = ["openai/gpt-4o", "openai/not-known", "openrouter/who/knows"]\n'
    )  # fmt: skip
    main(["check", "--config", str(at_home)])
    out = " ".join(capsys.readouterr().out.split())
    assert "house: 0.50 USD a day" in out
    assert "openrouter: 9.00 USD a month" in out
    assert "openai/not-known, nobody knows its price, and under a budget it is refused" in out
    assert "openai/gpt-4o" not in out
    assert "who/knows" not in out
