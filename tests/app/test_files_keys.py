"""Where a provider's keys are found, one or several, and what is said of those that are not."""

from pathlib import Path

import pytest

from exo_supervisor.app.files import CredentialError, keys
from exo_supervisor.config.fault import ConfigError
from exo_supervisor.config.read import read
from exo_supervisor.config.schema import Config


def config_of(*rows: str) -> Config:
    text = "".join(f'[[provider]]\nbase_url = "https://h/v1"\n{row}\n' for row in rows)
    return read(text, file="f.toml", environ={}).config


def found(config: Config, environ: dict[str, str]) -> dict[str, list[str]]:
    held = keys(config, environ).keys
    return {name: [each.reveal() for each in secrets] for name, secrets in held.items()}


@pytest.mark.parametrize(
    ("key_env", "many"),
    [('"A"', 1), ('["A"]', 1), ('["A", "B"]', 2), ('["B", "A"]', 2), ('""', 0), ("[]", 0)],
)
def test_key_env_is_one_variable_or_several(key_env: str, many: int) -> None:
    [provider] = config_of(f'name = "p"\nkey_env = {key_env}').providers
    assert len(provider.key_env) == many
    held = found(config_of(f'name = "p"\nkey_env = {key_env}'), {"A": "a", "B": "b"})
    assert held == ({"p": [name.lower() for name in provider.key_env]} if many else {})


def test_a_variable_that_is_named_twice_is_a_fault() -> None:
    with pytest.raises(ConfigError, match="names a variable twice"):
        config_of('name = "p"\nkey_env = ["A", "A"]')


def test_of_several_variables_those_that_are_not_set_are_said() -> None:
    config = config_of('name = "p"\nkey_env = ["A", "B", "C"]')
    held = keys(config, {"B": "b"})
    assert [each.reveal() for each in held.keys["p"]] == ["b"]
    assert (held.missing, held.why_off) == ({"p": "A and C are not set"}, {})
    none = keys(config, {})
    assert none.why_off == {"p": "A and B and C are not set, no credential 'p'"}


def test_credentials_are_numbered_from_the_second_on(tmp_path: Path) -> None:
    for name in ("p", "p.2", "p.3", "p.5"):
        (tmp_path / name).write_text(f"{name}-key\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "B": "b"}
    assert found(config_of('name = "p"'), environ) == {"p": ["p-key", "p.2-key", "p.3-key"]}
    both = config_of('name = "p"\nkey_env = ["A", "B"]')
    assert found(both, environ) == {"p": ["p-key", "b", "p.3-key"]}
    assert keys(both, environ).missing == {}


def test_a_providers_own_credential_is_no_others_second_one(tmp_path: Path) -> None:
    for name in ("p", "p.2"):
        (tmp_path / name).write_text(f"{name}-key\n")
    config = config_of('name = "p"', 'name = "p.2"')
    held = found(config, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert held == {"p": ["p-key"], "p.2": ["p.2-key"]}


def test_one_that_cannot_be_used_is_told_without_a_word_of_it() -> None:
    config = config_of('name = "p"\nkey_env = ["A", "B"]')
    with pytest.raises(CredentialError, match="variable B") as caught:
        keys(config, {"A": "a", "B": "b with blanks"})
    assert "with blanks" not in str(caught.value)
