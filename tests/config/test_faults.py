"""Every fault is told once, at its place, with what would be right, and without a secret."""

from time import perf_counter

import pytest

from exo_supervisor.config.document import decode
from exo_supervisor.config.fault import ConfigError
from exo_supervisor.config.read import read
from exo_supervisor.config.schema import Config
from exo_supervisor.errors import SupervisorError
from tests.budget import budget

MODEL = '[[model]]\nname = "m"\nexo = "x"\n'
PROVIDER = '[[provider]]\nname = "p"\nbase_url = "https://h/v1"\n'


def faults_of(text: str | None, **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(text, file="home.toml", environ=environ)
    return caught.value


RENDERED = [
    (
        '# mine\n[server]\nsoket = "/run/exo/api.sock"\n',
        (
            "home.toml:3:1: error: unknown key `soket` in [server]\n"
            '  3 | soket = "/run/exo/api.sock"\n'
            "    | ^^^^^ similar key: `socket`"
        ),
    ),
    (
        '[health]\n# fast\ninterval = "fast"\n',
        (
            'home.toml:3:12: error: health.interval wants seconds above 0, got "fast"\n'
            '  3 | interval = "fast"\n'
            "    |            ^^^^^^ for example 5.0"
        ),
    ),
    (
        "[timeouts]\nstall = -1.5",
        (
            "home.toml:2:9: error: timeouts.stall wants seconds above 0, got -1.5\n"
            "  2 | stall = -1.5\n"
            "    |         ^^^^ for example 5.0"
        ),
    ),
    (
        "[heath]\n",
        (
            "home.toml:1:2: error: unknown table `heath`\n"
            "  1 | [heath]\n"
            "    |  ^^^^^ similar table: `health`"
        ),
    ),
    (
        'policy = "fastest"\n',
        (
            "home.toml:1:1: error: unknown key `policy` outside every table\n"
            '  1 | policy = "fastest"\n'
            "    | ^^^^^^ `policy` belongs in [routing]"
        ),
    ),
    (
        '[server]\ntcp = "0.0.0.0:11435"\n',
        (
            "home.toml:2:7: error: server.tcp wants an IPv4 address of loopback and a port, "
            'got "0.0.0.0:11435"\n'
            '  2 | tcp = "0.0.0.0:11435"\n'
            '    |       ^^^^^^^^^^^^^^^ for example "127.0.0.1:11435"'
        ),
    ),
    (
        '[routing]\npolicy = "cheapest"\n',
        (
            "home.toml:2:10: error: routing.policy asks for what is not built yet\n"
            '  2 | policy = "cheapest"\n'
            '    |          ^^^^^^^^^^ allowed now: "fastest", "round_robin"'
        ),
    ),
    (
        '[discovery]\nstatic = [\n  "http://a:1",\n  "http://a:2/v1",\n]\n',
        (
            "home.toml:4:3: error: discovery.static[1] ends in /v1, but wants a node's base URL\n"
            '  4 |   "http://a:2/v1",\n'
            "    |   ^^^^^^^^^^^^^^^ remove /v1"
        ),
    ),
    (
        '[server]\nsocket = "a\n',
        "home.toml:2:12: error: illegal character '\\n'\n  2 | socket = \"a\n    |            ^",
    ),
    (
        "[breaker]\nrest = 20\nrest_max = 10\n",
        (
            "home.toml:3:12: error: breaker.rest_max wants at least breaker.rest (20.0), got 10.0\n"
            "  3 | rest_max = 10\n"
            "    |            ^^"
        ),
    ),
    (
        f"{PROVIDER}{MODEL}cloud = ['q/x']",
        (
            'home.toml:7:10: error: model.cloud[0] begins with no provider\'s name, got "q/x"\n'
            "  7 | cloud = ['q/x']\n"
            "    |          ^^^^^ add the [[provider]] of that name"
        ),
    ),
    (
        "[[provider]]\nname = 'p'\n",
        (
            "home.toml:1:3: error: [[provider]] has no `base_url`, which every one needs\n"
            "  1 | [[provider]]\n"
            "    |   ^^^^^^^^"
        ),
    ),
    (
        "routing = { order = [], policy = 'swift' }",
        (
            "home.toml:1:21: error: routing.order wants each tier once, at least one\n"
            "  1 | routing = { order = [], policy = 'swift' }\n"
            '    |                     ^^ allowed: "exo", "cloud", in the order to try\n'
            'home.toml:1:34: error: routing.policy wants one of "fastest", "least_busy", '
            '"round_robin", "weighted", "cheapest", got "swift"\n'
            "  1 | routing = { order = [], policy = 'swift' }\n"
            "    |                                  ^^^^^^^"
        ),
    ),
]


@pytest.mark.parametrize(("text", "rendered"), RENDERED)
def test_a_fault_is_shown_at_its_place(text: str, rendered: str) -> None:
    assert str(faults_of(text)) == rendered


REFUSED = [
    # (text, key, kind, a part of the message or hint)
    ("[server]\nmax_requests = true", "server.max_requests", "wrong_type", "got true"),
    ("[server]\nmax_requests = 1.0", "server.max_requests", "wrong_type", "whole number"),
    ("[server]\nmax_requests = 0", "server.max_requests", "bad_value", "from 1 to 100000"),
    ("[server]\nmax_body_bytes = 0", "server.max_body_bytes", "bad_value", "bytes from 1"),
    ("[server]\nsocket_mode = 660", "server.socket_mode", "wrong_type", 'for example "0660"'),
    ('[server]\nsocket_mode = "0680"', "server.socket_mode", "bad_value", "octal"),
    ('[server]\nsocket_mode = "0660\\n"', "server.socket_mode", "bad_value", "octal"),
    (f'[server]\nsocket = "/{"é" * 54}"', "server.socket", "bad_value", "109 bytes"),
    ('[server]\nsocket = "/run/\\u0000"', "server.socket", "bad_value", "control character"),
    ('[server]\ntoken_env = ""', "server.token_env", "bad_value", "name of an environment"),
    ("[server]\ndrain_timeout = -0.1", "server.drain_timeout", "bad_value", "0 or more"),
    ("[server]\nhead = true", "server.head", "wrong_type", "got true"),
    ("[server]\nhead = nan", "server.head", "bad_value", "above 0, got nan"),
    ("[server]\nhead = inf", "server.head", "bad_value", "at most 604800, got inf"),
    ("[server]\nhead = 1979-05-27", "server.head", "wrong_type", "got 1979-05-27"),
    ("[server]\nhead = [[1]]", "server.head", "wrong_type", "got a list"),
    ("[server]\nhead.x = 1", "server.head", "wrong_type", "got a table"),
    (f"[server]\nhead = {'9' * 400}", "server.head", "bad_value", "got a huge number"),
    ('[discovery]\nmdns = "yes"', "discovery.mdns", "wrong_type", "true or false"),
    ('[discovery]\nbroadcast = "on"', "discovery.broadcast", "bad_value", '"bind"'),
    ("[discovery]\nbroadcast = false", "discovery.broadcast", "wrong_type", '"off"'),
    ('[discovery]\nstatic = "http://h"', "discovery.static", "wrong_type", "for example ["),
    ('[discovery]\nstatic = ["h:52415"]', "discovery.static[0]", "bad_value", "begins with http"),
    ('[discovery]\nstatic = ["http://"]', "discovery.static[0]", "bad_value", "no host"),
    ('[discovery]\nstatic = ["http://h:0"]', "discovery.static[0]", "bad_value", "no host and"),
    ('[discovery]\nstatic = ["http://h:99999"]', "discovery.static[0]", "bad_value", "no URL"),
    ('[discovery]\nstatic = ["http://[::1"]', "discovery.static[0]", "bad_value", "no URL"),
    ('[discovery]\nstatic = ["http://[v1.a]"]', "discovery.static[0]", "bad_value", "no"),
    ('[discovery]\nstatic = ["http://a b"]', "discovery.static[0]", "bad_value", "no host"),
    ('[discovery]\nstatic = ["http://h?a"]', "discovery.static[0]", "bad_value", "query"),
    ("[discovery]\napi_ports = [1, 65536]", "discovery.api_ports[1]", "bad_value", "65535"),
    ("[discovery]\napi_ports = [true]", "discovery.api_ports[0]", "wrong_type", "65535"),
    ('[discovery]\nnamespaces = [""]', "discovery.namespaces[0]", "bad_value", "1 to 1024 bytes"),
    (
        f'[discovery]\nnamespaces = ["{"n" * 1025}"]',
        "discovery.namespaces[0]",
        "bad_value",
        "got 1025",
    ),
    ('[discovery]\ninterfaces = ["a b"]', "discovery.interfaces[0]", "bad_value", '"eth0"'),
    ('[discovery]\ninterfaces = [""]', "discovery.interfaces[0]", "bad_value", '"eth0"'),
    (
        '[discovery]\ninterfaces = ["eth0", "sixteen-letters-"]',
        "discovery.interfaces[1]",
        "bad_value",
        '"eth0"',
    ),
    ('[discovery]\nranges = ["n"]', "discovery.ranges[0]", "bad_value", "an IPv4 network"),
    ('[discovery]\nranges = ["fd00::/8"]', "discovery.ranges[0]", "bad_value", "an IPv4 network"),
    ('[discovery]\nranges = ["10.0.0.0/33"]', "discovery.ranges[0]", "bad_value", "10.8.0.0/16"),
    ('[discovery]\nranges = ["10.8.0.7/16"]', "discovery.ranges[0]", "bad_value", '"10.8.0.0/16"'),
    ('[discovery]\nranges = ["0.0.0.0/0"]', "discovery.ranges[0]", "bad_value", "wider than a /8"),
    ('[discovery]\nranges = ["127.0.0.0/8"]', "discovery.ranges[0]", "bad_value", "loopback"),
    ('[discovery]\nranges = ["224.0.0.0/8"]', "discovery.ranges[0]", "bad_value", "no hosts"),
    ('[discovery]\nranges = ["255.255.255.255"]', "discovery.ranges[0]", "bad_value", "no hosts"),
    ("[discovery]\nmanual_file = true", "discovery.manual_file", "wrong_type", "a string"),
    *(
        (f'[server]\ntoken_env = "{key}"', "server.token_env", "bad_value", "holds a key")
        for key in ("gsk_abcDEF0123456789", "hf_abcdefghijklmnop", "AIzaSyA0123456789abcd")
    ),
    ("[discovery]\nadvertise = true", "discovery.advertise", "bad_value", "server.tcp opens no"),
    (
        '[server]\ntcp = "x"\n[discovery]\nadvertise = true',
        "server.tcp",
        "bad_value",
        "IPv4 address of loopback",
    ),
    *(
        (f'[server]\ntcp = "{place}"', "server.tcp", "bad_value", "of loopback and a port")
        for place in (
            "127.0.0.1",
            "127.0.0.1:0",
            "127.0.0.1:65536",
            "127.0.0.1:0000065536",
            "127.0.0.1:x",
            "127.0.0.1:\u0661",
            ":11435",
            "11435",
            "localhost:11435",
            "[::1]:11435",
            "192.168.1.5:11435",
            "http://127.0.0.1:11435",
        )
    ),
    ("[breaker]\ntrip_after = 0", "breaker.trip_after", "bad_value", "from 1"),
    ("[breaker]\nrest = 200", "breaker.rest", "bad_value", "at most breaker.rest_max (120.0)"),
    ("[retry]\nattempts = 0", "retry.attempts", "bad_value", "from 1"),
    ("[retry]\nbudget = 1.1", "retry.budget", "bad_value", "from 0 to 1"),
    ("[routing]\npatience = -1", "routing.patience", "bad_value", "0 or more"),
    ('[routing]\norder = ["exo", "exo"]', "routing.order", "bad_value", "once"),
    ('[routing]\norder = ["sky"]', "routing.order[0]", "bad_value", '"cloud"'),
    ('[routing]\npolicy = "cheapest"', "routing.policy", "not_built", '"round_robin"'),
    ('[log]\nlevel = "loud"', "log.level", "bad_value", '"warning"'),
    ("[health]\ncrawl = true", "health.crawl", "unknown_key", "belongs in [discovery]"),
    ("server = 5", "server", "wrong_type", "write [server]"),
    ("[[server]]", "server", "wrong_type", "write [server]"),
    ("[provider]", "provider", "wrong_type", "write [[provider]]"),
    ("model = [1]", "model[0]", "wrong_type", "table"),
    (f'{PROVIDER}name2 = "x"', "provider[0].name2", "unknown_key", "`name`"),
    (f"{PROVIDER}stall = 0", "provider[0].stall", "bad_value", "above 0"),
    (f"{PROVIDER}priority = 1.5", "provider[0].priority", "wrong_type", "whole"),
    (f"{PROVIDER}{PROVIDER}", "provider[1].name", "bad_value", "first on line 2"),
    (f"{MODEL}{MODEL}", "model[1].name", "bad_value", "first on line 2"),
    (PROVIDER.replace('"p"', '"api-token"'), "provider[0].name", "bad_value", "cannot be"),
    (PROVIDER.replace('"p"', '".."'), "provider[0].name", "bad_value", "cannot be"),
    (PROVIDER.replace('"p"', '"a:b"'), "provider[0].name", "bad_value", "letters"),
    (PROVIDER.replace('"p"', '"a/b"'), "provider[0].name", "bad_value", "letters"),
    (PROVIDER.replace("https", "ftp"), "provider[0].base_url", "bad_value", "https://"),
    ('[[model]]\nname = "m"', "model[0]", "bad_value", "neither"),
    (
        f'{PROVIDER}[[model]]\nname = "m"\ncloud = ["p/x"]\nkeep = true',
        "model[0].keep",
        "bad_value",
        "exo",
    ),
    ('[[model]]\nexo = "m"', "model[0].name", "bad_value", "no `name`"),
    ('[[model]]\nname = ""\nexo = "m"', "model[0].name", "bad_value", "a model's id"),
    ('[[model]]\nname = "m"\nexo = 5', "model[0].exo", "wrong_type", "a list"),
    (f"{MODEL}keep = 1", "model[0].keep", "wrong_type", "true or false"),
    (f"{MODEL}on_demand = 1", "model[0].on_demand", "wrong_type", "true or false"),
    (f'{MODEL}commit = "whole"', "model[0].commit", "bad_value", '"answer"'),
    (f'{MODEL}cloud = "p/x"', "model[0].cloud", "wrong_type", "a list"),
    (f'{MODEL}cloud = ["p"]', "model[0].cloud[0]", "bad_value", "PROVIDER/MODEL"),
    (
        f'{PROVIDER.replace(chr(34) + "p", chr(34) + "openrouter")}{MODEL}cloud = ["opnrouter/x"]',
        "model[0].cloud[0]",
        "bad_value",
        "similar name: `openrouter`",
    ),
]


@pytest.mark.parametrize(("text", "key", "kind", "part"), REFUSED)
def test_a_value_that_does_not_fit_is_the_one_fault(
    text: str, key: str, kind: str, part: str
) -> None:
    faults = faults_of(text).faults
    assert [(fault.key, fault.kind) for fault in faults] == [(key, kind)]
    assert part in faults[0].render()
    assert faults[0].line is not None


def test_all_faults_are_told_in_the_order_of_the_file_then_of_the_environment() -> None:
    text = (
        "[[provider]]\nkey = 1\n[log]\nlevel = 1\n[server]\nhead = 0\nsocket_mode = ''\n"
        "[breaker]\nrest = 9\nrest_max = 1\n[health]\ntimeout = 0\n"
        "[discovery]\nstatic = ['x', 'http://fine', 'y']\n"
    )
    faults = faults_of(text, EXO_SUPERVISOR_LOG__LEVEL="x", EXO_SUPERVISOR_A__B="1").faults
    lines = [fault.line for fault in faults]
    assert lines == [1, 1, 2, 4, 6, 7, 10, 12, 14, 14, None, None]
    assert [fault.file for fault in faults[-2:]] == [
        "EXO_SUPERVISOR_A__B",
        "EXO_SUPERVISOR_LOG__LEVEL",
    ]


def test_a_config_error_is_one_of_ours() -> None:
    assert issubclass(ConfigError, SupervisorError)


SECRET = "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f'[discovery]\nstatic = ["http://u:{SECRET}@h:1"]',
        f'[discovery]\nstatic = ["http://u:{SECRET}/@h:1"]',
        f'[discovery]\nstatic = "http://u:{SECRET}@h:1"',
        f'[[provider]]\nname = "p"\nbase_url = "https://{SECRET}@h"',
        f'[[provider]]\nname = "p"\nbase_url = "https://h/?k={SECRET}"',
        f'{PROVIDER}api_key = "{SECRET}"',
        f'{PROVIDER}key_env = "sk-{SECRET}"',
        f'{PROVIDER}key_env = ["sk-{SECRET}"]',
        f"{PROVIDER}api_key = {SECRET}",
        f'provider = [{{ name = "p", base_url = "https://h", api_key = "{SECRET}" }}]',
        f'[server]\ntoken_env = "my {SECRET}"',
        f'[server]\ntoken = "{SECRET}"',
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(text: str) -> None:
    error = faults_of(text)
    assert SECRET not in str(error)
    assert not any(SECRET in fault.message + fault.hint for fault in error.faults)


@pytest.mark.parametrize("name", ["SERVER__TOKEN_ENV", "PROVIDER__API_KEY", "SERVER__TOKEN"])
def test_a_secret_in_a_variable_is_not_repeated(name: str) -> None:
    error = faults_of(None, **{f"EXO_SUPERVISOR_{name}": f"sk-{SECRET}"})
    assert SECRET not in str(error)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a = " + "[" * 50_000, "nested too deeply"),
        ("a = " + "{a=" * 50_000, "nested too deeply"),
        ("a." * 50_000 + "a = 1", "more than 32 parts"),
        ("[" + '"a".' * 50_000 + "a]", "more than 32 parts"),
        ("a = {" + "a." * 50_000 + "a = 1}", "more than 32 parts"),
        ("x" * 10_000_000, "larger than 1 MiB"),
        ("\ufeff[server]", "byte order mark"),
        ("a = \x00", "home.toml:1:5: error"),
        ("# \x00", "home.toml:1:3: error"),
        ("[server]\rhead = 1", "home.toml:1:9: error"),
        ("a = " + "9" * 5000, "out of range"),
        ("a = [\n1,\n", "home.toml:3:1: error"),
        ("a = 2020-99-99", "error"),
        ("[server]\n[server]\n", "home.toml:2:8: error"),
        ("a" * 1000 + " = = 1", "home.toml:1:1004: error: invalid value"),
        ("k\u202e\x1b[31m = 1", "error"),
    ],
)
def test_a_text_that_is_no_toml_is_one_clear_fault(text: str, part: str) -> None:
    error = faults_of(text)
    assert len(error.faults) == 1
    assert error.faults[0].kind == "syntax"
    assert part in str(error)
    assert all(char.isprintable() or char == "\n" for char in str(error))
    assert max(map(len, str(error).splitlines())) < 200


def test_a_long_line_is_shown_around_its_fault() -> None:
    filler = ", ".join(['"http://h"'] * 200)
    shown = str(faults_of(f'[discovery]\nstatic = [{filler}, "nowhere"]')).splitlines()
    assert len(shown[1]) < 140
    caret = shown[2].index("^")
    assert shown[1][caret : caret + 9] == '"nowhere"'


@pytest.mark.parametrize("piece", ["key", "://", " ", ",", '"', ',"', "a.", "[", "= ", "a\n", "''"])
@budget(5.0)
def test_a_hostile_text_of_a_mebibyte_takes_no_long_time(piece: str, within: float) -> None:
    started = perf_counter()
    assert str(faults_of("x = " + piece * (1_000_000 // len(piece)) + "\0"))
    assert perf_counter() - started < within


def test_many_faults_in_one_long_line_hold_no_copies_of_it() -> None:
    faults = faults_of(f"[discovery]\nstatic = [{'1,' * 20_000}]").faults
    assert len(faults) == 20_000
    assert not any(fault.source for fault in faults)
    assert faults[1].render() == (
        "home.toml:2:13: error: discovery.static[1] wants a node's base URL\n"
        '  for example "http://192.168.1.7:52415"'
    )


def test_bytes_that_are_not_utf8_are_named_by_offset() -> None:
    with pytest.raises(ConfigError, match=r"home\.toml: error: not UTF-8 at byte offset 6"):
        decode(b"a = 1\n\xff", "home.toml")
    with pytest.raises(ConfigError, match="byte offset 0"):
        decode("a = 1".encode("utf-16"), "home.toml")
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        decode(b"#" * 10_000_000, "home.toml")


def test_lines_may_end_in_crlf() -> None:
    text = decode(b"[server]\r\nhead = 3.0\r\n[log]\r\nlevel = 'x'\r\n", "home.toml")
    assert faults_of(text).faults[0].line == 4
    settings = read(text.replace("'x'", "'debug'"), file="home.toml", environ={})
    assert settings.origins["server.head"] == "home.toml:2"


def test_a_fault_in_the_environment_stands_at_its_variable() -> None:
    error = faults_of(None, EXO_SUPERVISOR_HEALTH__INTERVAL="fast")
    assert str(error) == (
        "EXO_SUPERVISOR_HEALTH__INTERVAL: error: "
        'health.interval wants seconds above 0, got "fast"\n'
        "  for example 5.0"
    )


def test_no_file_and_no_variable_is_no_fault() -> None:
    assert read(None, file="", environ={}).config == Config()
