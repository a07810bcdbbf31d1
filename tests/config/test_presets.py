"""A preset fills in what a provider's row does not say, and nothing else."""

import pytest
from msgspec.structs import fields

from exo_supervisor.app.files import keys
from exo_supervisor.app.policy import policy_of
from exo_supervisor.config.fault import ConfigError
from exo_supervisor.config.presets import PRESETS, Preset
from exo_supervisor.config.read import Settings, read
from exo_supervisor.config.render import render
from exo_supervisor.config.rules import take
from exo_supervisor.config.schema import Provider
from exo_supervisor.config.tables import KEYS
from exo_supervisor.core.policy import NEW_LIMIT, NO_STREAM_OPTIONS, Cloud
from exo_supervisor.wire.exo.traits import PEERS
from exo_supervisor.wire.table import DIALECTS

NAMED = sorted(PRESETS)


def settings_of(text: str) -> Settings:
    return read(text, file="f.toml", environ={})


def provider_of(rows: str) -> Provider:
    (provider,) = settings_of(f'[[provider]]\nname = "p"\n{rows}').config.providers
    return provider


def cloud_of(rows: str) -> Cloud:
    settings = settings_of(f'[[provider]]\nname = "p"\n{rows}')
    (cloud,) = policy_of(settings.config, {}).clouds
    return cloud


@pytest.mark.parametrize("name", NAMED)
def test_each_preset_is_a_provider_by_itself(name: str) -> None:
    own = "" if PRESETS[name].base_url else f'base_url = "{PRESETS[name].example}"'
    provider = provider_of(f'preset = "{name}"\n{own}')
    assert provider.base_url == (PRESETS[name].base_url or PRESETS[name].example)
    assert provider.key_env == tuple(filter(None, (PRESETS[name].key_env,)))
    assert provider.dialect in DIALECTS


@pytest.mark.parametrize("name", NAMED)
def test_each_row_of_the_table_holds_what_a_file_may_say(name: str) -> None:
    preset = PRESETS[name]
    for key, value in preset.given().items():
        assert take("provider", KEYS["provider"][key], value) in (value, (value,))
    assert preset.quirks <= {NEW_LIMIT, NO_STREAM_OPTIONS}
    assert preset.ignored <= PEERS["C"].ignored
    assert preset.keyless == preset.base_url.startswith("http://127.0.0.1:")
    assert bool(preset.base_url) != bool(preset.example)


def test_no_preset_makes_a_provider_one_of_the_house() -> None:
    assert "local" not in {part.name for part in fields(Preset)}
    assert set(PRESETS["ollama"].given()) == {"base_url", "dialect"}


def test_the_row_goes_before_its_preset() -> None:
    provider = provider_of(
        'preset = "openai"\nbase_url = "https://h/v1"\ndialect = "anthropic"\nkey_env = ""'
    )
    assert provider.base_url == "https://h/v1"
    assert provider.dialect == "anthropic"
    assert provider.key_env == ()


def test_what_a_preset_filled_in_is_shown_with_where_it_came_from() -> None:
    settings = settings_of('[[provider]]\nname = "p"\npreset = "groq"\n')
    assert settings.origins["provider[0].base_url"] == 'preset "groq"'
    shown = render(settings)
    assert 'base_url = "https://api.groq.com/openai/v1"' in shown
    assert settings_of(shown).config == settings.config


@pytest.mark.parametrize(
    ("rows", "key", "part"),
    [
        ('preset = "opnai"', "provider[0].preset", 'similar: "openai"'),
        ('preset = "zzz"', "provider[0].preset", "f.toml:3:10"),
        ('preset = "azure"', "provider[0].base_url", "https://RESOURCE.openai.azure.com/openai/v1"),
        ("priority = 1", "provider[0].base_url", "which every one needs"),
        ("preset = 1", "provider[0].preset", "wants one of"),
    ],
)
def test_a_wrong_preset_is_told_with_what_would_be_right(rows: str, key: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        provider_of(rows)
    assert key in [fault.key for fault in caught.value.faults]
    assert part in str(caught.value)


@pytest.mark.parametrize("name", [name for name in NAMED if PRESETS[name].keyless])
def test_a_server_of_ones_own_serves_without_a_key(name: str) -> None:
    config = settings_of(f'[[provider]]\nname = "p"\npreset = "{name}"').config
    assert keys(config, {}) == ({"p": ()}, {}, {})
    named = settings_of(f'[[provider]]\nname = "p"\npreset = "{name}"\nkey_env = "K"').config
    assert keys(named, {}) == ({}, {"p": "K is not set, no credential 'p'"}, {})


def test_any_other_without_its_key_is_off() -> None:
    config = settings_of('[[provider]]\nname = "p"\npreset = "xai"').config
    found = keys(config, {})
    assert found.keys == {}
    assert found.why_off == {"p": "XAI_API_KEY is not set, no credential 'p'"}


def test_the_core_is_told_in_what_a_provider_differs() -> None:
    assert cloud_of('preset = "openai"').quirks == {NEW_LIMIT}
    assert cloud_of('preset = "mistral"').quirks == {NO_STREAM_OPTIONS}
    assert "tool_choice" in cloud_of('preset = "ollama"').ignored
    assert cloud_of('base_url = "https://h/v1"').quirks == frozenset()
    assert "n" in cloud_of('preset = "anthropic"').ignored
