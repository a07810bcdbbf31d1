"""Reads the configuration and the keys that this machine has."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from exo_supervisor.app.policy import off_by_privacy
from exo_supervisor.config import where
from exo_supervisor.config.document import decode
from exo_supervisor.config.presets import preset_of
from exo_supervisor.config.read import Settings, read
from exo_supervisor.config.schema import Config, Provider
from exo_supervisor.errors import StartError, why_failed
from exo_supervisor.host.credentials import Secret, read_secret

TOKEN = "api-token"  # noqa: S105 - the name of a systemd credential
LARGEST_FILE = 1024 * 1024
MOST_KEYS = 32
"""Keys of one provider, at most."""


class NoFileError(StartError):
    """A configuration file that was named is not there, or cannot be read."""


class CredentialError(StartError):
    """A key or a token is there, but cannot be used; or one that must be there is not."""


def load(named: str | None, socket: str | None, environ: Mapping[str, str]) -> Settings:
    """Read the configuration that is in force; raises ConfigError or NoFileError.

    A file that was named must be there; without one, the user's own comes before the system's.
    """
    flags: dict[str, object] = {} if socket is None else {"server.socket": socket}
    today = datetime.now(UTC).date()
    chosen = where.named_file(named, environ) or where.found_file(environ)
    if chosen is None:
        return read(None, file="defaults", environ=environ, flags=flags, today=today)
    path = Path(chosen)
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as fault:
        text = f"the configuration {path} cannot be read: {why_failed(fault)}"
        raise NoFileError(text) from fault
    return read(decode(raw, str(path)), file=str(path), environ=environ, flags=flags, today=today)


def token(config: Config, environ: Mapping[str, str]) -> Secret | None:
    """Read the token of the TCP listener; None without such a listener. Raises CredentialError."""
    if not config.server.tcp:
        return None
    variable = config.server.token_env
    try:
        found = read_secret(variable, TOKEN, environ)
    except StartError as fault:
        raise CredentialError(str(fault)) from fault
    if found is None:
        raise CredentialError(
            f"server.tcp asks for a token, but {variable} is not set and there is no credential "
            f'{TOKEN!r}; set one of them, or server.tcp = ""'
        )
    return found


class Found(NamedTuple):
    """Every provider's keys, without any where it needs none, and why each is off that has none.

    `missing` says, in words, which keys are not there of those providers that have others.
    """

    keys: dict[str, tuple[Secret, ...]]
    why_off: dict[str, str]
    missing: dict[str, str]


def keys(config: Config, environ: Mapping[str, str]) -> Found:
    """Read the keys of all providers; raises CredentialError for one that cannot be used."""
    found = Found({}, {}, {})
    names = {each.name for each in config.providers}
    for provider in config.providers:
        try:
            secrets, missing = _keys_of(provider, names, environ)
        except StartError as fault:
            raise CredentialError(str(fault)) from fault
        if secrets or _serves_without(provider):
            found.keys[provider.name] = secrets
            if missing:
                found.missing[provider.name] = _not_set(missing)
        else:
            why = _not_set(missing or ["key_env"])
            found.why_off[provider.name] = f"{why}, no credential {provider.name!r}"
    kept = off_by_privacy(config)
    held = {name: secrets for name, secrets in found.keys.items() if name not in kept}
    return found._replace(keys=held, why_off=found.why_off | kept)


def _not_set(variables: list[str]) -> str:
    return f"{' and '.join(variables)} {'are' if len(variables) > 1 else 'is'} not set"


def _keys_of(
    provider: Provider, names: set[str], environ: Mapping[str, str]
) -> tuple[tuple[Secret, ...], list[str]]:
    """Read one provider's keys, and name the variables for which there is none.

    The credentials are NAME, NAME.2, ..., as far as they go on; a provider that has such a name
    itself keeps its own.
    """
    secrets: list[Secret] = []
    missing: list[str] = []
    for place in range(MOST_KEYS):
        variable = provider.key_env[place] if place < len(provider.key_env) else ""
        credential = provider.name if not place else f"{provider.name}.{place + 1}"
        taken = place > 0 and credential in names
        secret = read_secret(variable, "" if taken else credential, environ)
        if secret is not None:
            secrets.append(secret)
        elif variable:
            missing.append(variable)
        else:
            break
    return tuple(secrets), missing


def _serves_without(provider: Provider) -> bool:
    """Say whether a provider needs no key, and nobody said where one is."""
    return preset_of(provider.preset).keyless and not provider.key_env
