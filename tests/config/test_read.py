"""What is read is what was meant, and every value knows where it came from."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.config.fault import ConfigError, ConfigFault
from exo_supervisor.config.read import read
from exo_supervisor.config.render import render
from exo_supervisor.config.schema import Client, Config, Model, Provider, Routing
from exo_supervisor.config.tables import KEYS, VARIABLES

EXAMPLE = (Path(__file__).parents[2] / "supervisor.toml").read_text(encoding="utf-8")
WHOLE = re.sub(r"(?m)^#(?=[\w\[])", "", EXAMPLE)  # the example with its commented keys in force


def config_of(text: str | None, **environ: str) -> Config:
    return read(text, file="f.toml", environ=environ).config


def test_the_example_holds_every_default_and_nothing_else() -> None:
    assert config_of(EXAMPLE) == Config()


def test_the_example_shows_every_key() -> None:
    tables = tomllib.loads(WHOLE)
    for name, keys in KEYS.items():
        shown = tables[name][0] if isinstance(tables[name], list) else tables[name]
        assert list(shown) == list(keys) or set(shown) == set(keys), name
    assert list(tables) == list(KEYS) or set(tables) == set(KEYS)


def test_the_example_is_valid_with_its_commented_tables_in_force() -> None:
    config = config_of(WHOLE)
    assert config.providers == (
        Provider(
            name="openrouter",
            preset="openrouter",
            base_url="https://openrouter.ai/api/v1",
            key_env=("OPENROUTER_API_KEY",),
            connect=10.0,
            headers=8.0,
            first_content=120.0,
            stall=60.0,
        ),
    )
    assert config.models == (
        Model(
            name="llama-3.2-3b",
            exo=("mlx-community/Llama-3.2-3B-Instruct-4bit",),
            cloud=("openrouter/meta-llama/llama-3.2-3b-instruct",),
        ),
    )
    rates = {"requests": 0, "tokens": 0}
    assert config.clients == (
        Client(name="kids", uid=("anna", "1001"), gid=("users",), rate=rates),
    )


def test_a_flag_goes_before_the_environment_the_file_and_the_default() -> None:
    text = '[server]\nsocket = "/file"\nhead = 1\n[health]\ninterval = 1\n'
    environ = {
        "EXO_SUPERVISOR_SERVER__SOCKET": "/environment",
        "EXO_SUPERVISOR_HEALTH__INTERVAL": "2",
    }
    settings = read(text, file="f.toml", environ=environ, flags={"server.socket": "/flag"})
    assert settings.config.server.socket == "/flag"
    assert settings.config.health.interval == 2.0
    assert settings.config.server.head == 1.0
    assert settings.origins["server.socket"] == "--socket"
    assert settings.origins["health.interval"] == "EXO_SUPERVISOR_HEALTH__INTERVAL"
    assert settings.origins["server.head"] == "f.toml:3"
    assert settings.origins["health.timeout"] == "default"
    assert settings.file == "f.toml"


def test_without_a_file_no_file_is_named() -> None:
    assert read(None, file="unread", environ={}).file is None


def test_a_bad_flag_is_named_as_the_person_typed_it() -> None:
    with pytest.raises(ConfigError, match=r"--socket: error: server\.socket is 200 bytes long"):
        read(None, file="", environ={}, flags={"server.socket": "x" * 200})


def test_a_value_in_the_file_must_be_right_even_where_the_environment_replaces_it() -> None:
    with pytest.raises(ConfigError, match=r"f\.toml:2:12"):
        config_of("[health]\ninterval = 0", EXO_SUPERVISOR_HEALTH__INTERVAL="2")


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("SERVER__SOCKET", "/run/x.sock", "/run/x.sock"),
        ("SERVER__SOCKET", '"/run/x.sock"', "/run/x.sock"),
        ("SERVER__SOCKET", "", ""),
        ("SERVER__SOCKET_MODE", "0600", "0600"),
        ("LOG__LEVEL", "debug", "debug"),
        ("HEALTH__INTERVAL", "2", 2.0),
        ("HEALTH__INTERVAL", " 2.5 ", 2.5),
        ("SERVER__MAX_REQUESTS", "10", 10),
        ("DISCOVERY__MDNS", "false", False),
        ("DISCOVERY__STATIC", '["http://a:1", "https://b/exo"]', ("http://a:1", "https://b/exo")),
        ("DISCOVERY__STATIC", "[]", ()),
        ("ROUTING__ORDER", "['cloud']", ("cloud",)),
    ],
)
def test_a_variable_is_a_toml_value_or_a_bare_word(name: str, raw: str, value: object) -> None:
    config = config_of(None, **{f"EXO_SUPERVISOR_{name}": raw})
    table, key = VARIABLES[f"EXO_SUPERVISOR_{name}"]
    assert getattr(getattr(config, table), key) == value


@pytest.mark.parametrize(
    ("name", "raw", "part"),
    [
        ("HEALTH__INTERVAL", "", "seconds above 0"),
        ("HEALTH__INTERVAL", "2\ntimeout = 3", "seconds above 0"),
        ("HEALTH__INTERVAL", "{" * 50_000, "seconds above 0"),
        ("DISCOVERY__STATIC", "http://a:1", "wants a list"),
        ("SERVER__SOCKET", '"/run', "does not end"),
        ("SERVER__SOCKET", "5", "wants a string"),
        ("SERVER__SOCKET", "/\udcff", "not valid UTF-8"),
        ("SERVER__SOKET", "x", "EXO_SUPERVISOR_SERVER__SOCKET"),
        ("server__socket", "x", "names no key"),
        ("PROVIDER__NAME", "x", "in the file only"),
        ("__", "x", "names no key"),
    ],
)
def test_a_bad_variable_is_an_error(name: str, raw: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(None, **{f"EXO_SUPERVISOR_{name}": raw})
    assert part in str(caught.value)
    assert str(caught.value).startswith(f"EXO_SUPERVISOR_{name}: error: ")


def test_other_variables_are_left_alone() -> None:
    environ = {"EXO_SUPERVISOR_CONFIG": "x", "EXO_SUPERVISOR_TOKEN": "y", "PATH": "z", "A__B": "1"}
    assert config_of(None, **environ) == Config()


def test_exo_may_be_a_string_or_a_list() -> None:
    text = '[[model]]\nname = "a"\nexo = "x"\n[[model]]\nname = "b"\nexo = ["x", "y"]\n'
    assert [model.exo for model in config_of(text).models] == [("x",), ("x", "y")]


def test_a_whole_number_will_do_for_seconds_and_becomes_a_float() -> None:
    interval = config_of("[health]\ninterval = 3").health.interval
    assert (interval, type(interval)) == (3.0, float)


def test_what_asks_for_less_is_accepted() -> None:
    text = (
        '[discovery]\nstatic = []\nbroadcast = "off"\nmdns = false\nmulticast = false\n'
        "crawl = false\napi_ports = []\n[server]\ndrain_timeout = 0\n[routing]\npatience = 0\n"
        'policy = "round_robin"\norder = ["exo"]\n[breaker]\nrest = 120\n'
    )
    assert config_of(text).discovery.crawl is False


def test_the_configuration_is_rendered_with_its_origins() -> None:
    text = f'{WHOLE}[[provider]]\nname = "spare"\nbase_url = "http://127.0.0.1:1"\n'
    environ = {"EXO_SUPERVISOR_HEALTH__INTERVAL": "2.0"}
    settings = read(text, file="f.toml", environ=environ)
    lines = render(settings, {"openrouter": "set", "spare": "not set"}).splitlines()
    assert f"{'interval = 2.0':<40} # EXO_SUPERVISOR_HEALTH__INTERVAL" in lines
    key = WHOLE.splitlines().index('key_env = "OPENROUTER_API_KEY"') + 1
    assert f'key_env = ["OPENROUTER_API_KEY"]         # f.toml:{key}; set' in lines
    assert "key_env = []".ljust(40) + " # default; not set" in lines
    assert f"{'# stall is unset':<40} # default" in lines
    assert [line for line in lines if line.startswith("[")] == [
        "[server]", "[discovery]", "[health]", "[breaker]", "[retry]", "[timeouts]", "[routing]",
        "[[provider]]", "[[provider]]", "[[model]]", "[[client]]", "[budget]",
        "[ledger]", "[[price]]", "[power]", "[log]",
    ]  # fmt: skip


def quoted(value: str) -> str:
    return '"' + "".join(f"\\U{ord(char):08x}" for char in value) + '"'


words = st.text(
    st.characters(min_codepoint=0x20, exclude_categories=["Cs"], exclude_characters="\x7f"),
    min_size=1,
    max_size=12,
)
seconds = st.floats(min_value=1e-12, max_value=604_800)


@given(
    group=words,
    names=st.lists(words, unique=True, max_size=3),
    head=seconds,
    stall=st.none() | seconds,
    budget=st.one_of(st.just(0.0), st.floats(1e-12, 1)),
    order=st.permutations(["exo", "cloud"]),
)
def test_what_is_rendered_reads_back_the_same(
    group: str, names: list[str], head: float, stall: float | None, budget: float, order: list[str]
) -> None:
    models = "".join(
        f'[[model]]\nname = {quoted(name)}\nexo = [{quoted(name)}]\ncloud = ["p/{index}"]\n'
        for index, name in enumerate(names)
    )
    text = (
        f"[server]\nsocket_group = {quoted(group)}\nhead = {head!r}\n"
        f"[retry]\nbudget = {budget!r}\n[routing]\norder = {order}\n"
        f'[[provider]]\nname = "p"\nbase_url = "https://h/v1"\n'
        f"{'' if stall is None else f'stall = {stall!r}'}\n{models}"
    )
    settings = read(text, file="weird\n\x1b name", environ={})
    again = read(render(settings, {"p": "set\nnot"}), file="rendered", environ={})
    assert again.config == settings.config
    assert settings.config.routing == Routing(order=settings.config.routing.order)
    assert [model.name for model in settings.config.models] == names


PIECES = [
    "[", "]", "[[", "]]", "{", "}", "=", ".", ",", '"', "'", '"""', "'''", "\\", "#", "\n", "\r\n",
    "\r", "\t", " ", "\x00", "\ufeff", "é", "1", "-1.5", "inf", "nan", "true",
    "1979-05-27 07:32:00",
    "server", "socket", "provider", "model", "name", "cloud", "exo", "interval", "[health]\n",
    "[[model]]\n", "a.b", '"http://u:p@h"', "0x", "\U0001f600", "= [1,\n2]", "= {a = 1}",
]  # fmt: skip


def faults_of(text: str) -> tuple[ConfigFault, ...]:
    try:
        config_of(text)
    except ConfigError as error:
        return error.faults
    return ()


@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 30), st.sampled_from(PIECES)),
        max_size=6,
    )
)
def test_a_mutated_file_is_read_or_refused(edits: list[tuple[int, int, str]]) -> None:
    """Whatever is done to a file, the answer is a configuration or a clear error in it."""
    text = WHOLE
    for at, cut, piece in edits:
        text = text[:at] + piece + text[at + cut :]
    lines = text.replace("\r\n", "\n").split("\n")
    for fault in faults_of(text):
        assert ": error: " in fault.render()
        assert fault.line is None or fault.source == lines[fault.line - 1]


@pytest.mark.parametrize("home", ["~", "$HOME", "${HOME}"])
def test_a_home_is_written_out_in_paths_from_a_file_and_a_variable(home: str) -> None:
    text = f'[server]\nsocket = "{home}/s"\n[discovery]\nmanual_file = "/x/{home}"'
    config = config_of(text, HOME="/home/anna")
    assert config.server.socket == "/home/anna/s"
    assert config.discovery.manual_file == f"/x/{home}", "only at the start of a path"
    asked = config_of(None, HOME="/home/anna", EXO_SUPERVISOR_SERVER__SOCKET=f"{home}/s")
    assert asked.server.socket == "/home/anna/s"
    assert config_of(text).server.socket == f"{home}/s"


def told_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config_of(text)
    return [f"{fault.message}; {fault.hint}" for fault in caught.value.faults]


def test_a_key_pasted_at_the_end_is_told_where_it_belongs() -> None:
    at_end = '[[model]]\nname = "a"\nexo = "b"\nserver.tcp = "127.0.0.1:11435"'
    (told,) = told_of(at_end)
    assert "`server.tcp` belongs above the first `[[...]]` of the file" in told
    (told,) = told_of('[log]\nserver.tcp = "127.0.0.1:11435"')
    assert "above the first `[...]` of the file, or as `tcp` below [server]" in told
    assert config_of('server.tcp = "127.0.0.1:11435"\n[log]').server.tcp == "127.0.0.1:11435"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://h:52415/v1", "ends in /v1, but wants a node's base URL; remove /v1"),
        ("http://h:52415/v1/chat/completions", "remove /v1/chat/completions"),
        ("http://h:52415/v1/models/", "remove /v1/models"),
    ],
)
def test_a_node_s_url_with_a_path_is_told(url: str, said: str) -> None:
    (told,) = told_of(f'[discovery]\nstatic = ["{url}"]')
    assert said in told
    assert config_of('[discovery]\nstatic = ["http://h:52415/"]')


@pytest.mark.parametrize("end", ["/chat/completions", "/models", "/messages", "/completions/"])
def test_a_provider_s_url_pasted_with_a_route_is_told(end: str) -> None:
    (told,) = told_of(f'[[provider]]\nname = "p"\nbase_url = "https://a.b/v1{end}"')
    assert f"remove {end.rstrip('/')}" in told
