"""What a `[[client]]` says is taken as it was meant, or each fault in it is told."""

import pytest

from exo_supervisor.config.fault import ConfigError
from exo_supervisor.config.read import read
from exo_supervisor.config.render import render
from exo_supervisor.config.schema import Client


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(text, file="f.toml", environ={})
    return [f"{each.line}: {each.message}; {each.hint}" for each in raised.value.faults]


def test_a_client_is_read_and_rendered_to_the_same() -> None:
    text = """
[[client]]
name = "kids"
uid = ["anna", 1001]
gid = [100, "users"]
models = ["llama-*"]
rate = { tokens = 5000 }
[[client]]
name = "default"
privacy = "local_only"
"""
    settings = read(text, file="f.toml", environ={})
    kids, default = settings.config.clients
    assert (kids.uid, kids.gid) == (("anna", "1001"), ("100", "users"))
    assert kids.rate == {"requests": 0, "tokens": 5000}
    assert default == Client(name="default", privacy="local_only")
    again = read(render(settings), file="f.toml", environ={})
    assert again.config == settings.config


WRONG = [
    ('uid = "anna"', "client.uid wants a list"),
    ("uid = [1.5]", "client.uid[0] wants a user's name or number"),
    ("gid = [true]", "client.gid[0] wants a group's name or number"),
    ("uid = [-1]", "client.uid[0] wants a user's name or number, got -1"),
    ('privacy = "local"', "client.privacy wants one of"),
    ('route = "home"', "client.route wants one of"),
    ('profile = "token_manager"', "client.profile wants one of"),
    ("admin = 1", "client.admin wants true or false"),
    ("rate = 5", "client.rate wants a table of requests and tokens a minute, got 5"),
    ("rate = { request = 5 }", "client.rate has no `request`; similar key: `requests`"),
    ("rate = { x = 5 }", "client.rate has no `x`; for example"),
    ("rate = { tokens = -1 }", "client.rate.tokens wants a whole number from 0"),
    ("rate = { tokens = 1.5 }", "client.rate.tokens wants a whole number from 0"),
    ("rate = { tokens = true }", "client.rate.tokens wants a whole number from 0"),
    ('token_env = "sk-abcdefabcdefabcdefabcdefabcdef"', "client.token_env wants the name of"),
    ('route = "cloud"\nprivacy = "local_only"', 'client.route is "cloud", and client.privacy'),
    ('uids = ["anna"]', "unknown key `uids` in [[client]]; similar key: `uid`"),
]


@pytest.mark.parametrize(("line", "told"), WRONG)
def test_each_fault_is_told(line: str, told: str) -> None:
    [fault] = faults(f'[[client]]\nname = "kids"\n{line}\n')
    assert told in fault
    assert "abcdefabcdef" not in fault


def test_whoever_no_other_row_is_is_nobody_in_particular() -> None:
    rows = (
        '[[client]]\nname = "default"\nuid = ["anna"]\ngid = [1]\ntoken_env = "X"\nadmin = true\n'
    )
    told = faults(rows)
    assert [each.partition(" stands in")[0][3:] for each in told] == [
        "client.uid", "client.gid", "client.token_env", "client.admin",
    ]  # fmt: skip


def test_rows_that_contradict_others_are_told() -> None:
    row = '[[client]]\nname = "kids"\n'
    assert 'client.name "kids" is given twice' in faults(row + row)[0]
    house = '[routing]\nprivacy = "local_only"\n'
    assert "routing.privacy" in faults(f'{house}{row}route = "cloud"\n')[0]
    assert "has no `name`" in faults('[[client]]\nuid = ["anna"]\n')[0]
    assert "client.name wants a name of letters" in faults('[[client]]\nname = "a/b"\n')[0]
