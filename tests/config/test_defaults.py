"""A row's `defaults` hold what a request may leave out, nothing that fails each of them."""

import pytest

from exo_supervisor.app.policy import policy_of
from exo_supervisor.config.fault import ConfigError
from exo_supervisor.config.read import read
from exo_supervisor.config.render import render

ROW = '[[model]]\nname = "a"\nexo = "x"\n'


@pytest.mark.parametrize(
    "text",
    [
        'defaults = { max_tokens = 9, temperature = 1, "odd key" = [{ b = "\\"" }, true] }',
        '[model.defaults]\nmax_tokens = 9\ntemperature = 1\n"odd key" = [{ b = "\\"" }, true]',
    ],
)
def test_they_reach_the_core_as_a_request_has_them(text: str) -> None:
    settings = read(ROW + text, file="f.toml", environ={})
    (rule,) = policy_of(settings.config, {}).models
    assert {name: bytes(raw) for name, raw in rule.defaults.items()} == {
        "max_tokens": b"9", "temperature": b"1", "odd key": b'[{"b":"\\""},true]',
    }  # fmt: skip
    assert read(render(settings), file="g.toml", environ={}).config == settings.config


@pytest.mark.parametrize("name", ["top_n", "min_tokens"])
def test_a_field_that_is_only_somewhat_like_a_known_one_is_its_targets(name: str) -> None:
    settings = read(f"{ROW}defaults = {{ {name} = 3 }}", file="f.toml", environ={})
    (rule,) = policy_of(settings.config, {}).models
    assert [*rule.defaults] == [name]


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("1", "wants a table"),
        ("[1]", "got a list"),
        ('{ model = "x" }', "holds `model`, which each request says itself"),
        ("{ messages = [] }", "`messages`"),
        ("{ stream = true }", "`stream`"),
        ("{ tools = [] }", "`tools`"),
        ("{ store = true }", "`store`"),
        ("{ max_tokens = 0 }", "model.defaults.max_tokens wants a whole number above 0, got 0"),
        ('{ temperature = "hot" }', 'model.defaults.temperature wants a number, got "hot"'),
        ("{ n = 129 }", "a whole number from 1 to 128, got 129"),
        ('{ dimensions = "x" }', "a whole number from 1 to 65536"),
        ('{ encoding_format = "hex" }', '"float" or "base64"'),
        ("{ stop = [1] }", "a text or a list of texts"),
        ("{ max_token = 5 }", "similar field: `max_tokens`"),
        ("{ x = nan }", "model.defaults.x is no value that JSON has"),
        ("{ x = [{ y = 2026-01-01 }] }", "no value that JSON has"),
        ("{ x = { y = inf } }", "no value that JSON has"),
    ],
)
def test_what_no_request_may_have_is_told_at_its_place(value: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f"{ROW}defaults = {value}", file="f.toml", environ={})
    [fault] = caught.value.faults
    assert fault.key == "model[0].defaults"
    assert fault.line == 4
    assert part in f"{fault.message} {fault.hint}"
