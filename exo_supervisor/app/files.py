"""Reads the configuration and the keys that this machine has."""

from collections.abc import Mapping
from pathlib import Path

from exo_supervisor.app.policy import off_by_privacy
from exo_supervisor.config import where
from exo_supervisor.config.document import decode
from exo_supervisor.config.presets import preset_of
from exo_supervisor.config.read import Settings, read
from exo_supervisor.config.schema import Config, Provider
from exo_supervisor.errors import StartError
from exo_supervisor.host.credentials import Secret, read_secret

TOKEN = "api-token"  # noqa: S105 - the name of a systemd credential
LARGEST_FILE = 1024 * 1024


class NoFileError(StartError):
    """A configuration file that was named is not there, or cannot be read."""


class CredentialError(StartError):
    """A key or a token is there, but cannot be used; or one that must be there is not."""


def load(named: str | None, socket: str | None, environ: Mapping[str, str]) -> Settings:
    """Read the configuration that is in force; raises ConfigError or NoFileError.

    A file that was named must be there; without one, the user's own comes before the system's.
    """
    flags: dict[str, object] = {} if socket is None else {"server.socket": socket}
    chosen = where.named_file(named, environ) or where.found_file(environ)
    if chosen is None:
        return read(None, file="defaults", environ=environ, flags=flags)
    path = Path(chosen)
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as fault:
        reason = (fault.strerror or type(fault).__name__).lower()
        raise NoFileError(f"the configuration {path} cannot be read: {reason}") from fault
    return read(decode(raw, str(path)), file=str(path), environ=environ, flags=flags)


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


def keys(
    config: Config, environ: Mapping[str, str]
) -> tuple[dict[str, Secret | None], dict[str, str]]:
    """Read every provider's key, None where it needs none, and why each without one is off.

    Raises CredentialError for one that is there but cannot be used.
    """
    found: dict[str, Secret | None] = {}
    why_off: dict[str, str] = {}
    for provider in config.providers:
        try:
            secret = read_secret(provider.key_env, provider.name, environ)
        except StartError as fault:
            raise CredentialError(str(fault)) from fault
        if secret is not None or _serves_without(provider):
            found[provider.name] = secret
            continue
        variable = f"{provider.key_env} is not set" if provider.key_env else "key_env is not set"
        why_off[provider.name] = f"{variable}, no credential {provider.name!r}"
    kept = off_by_privacy(config)
    return {name: key for name, key in found.items() if name not in kept}, why_off | kept


def _serves_without(provider: Provider) -> bool:
    """Say whether a provider needs no key, and nobody said where one is."""
    return preset_of(provider.preset).keyless and not provider.key_env
