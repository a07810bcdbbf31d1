"""Where the configuration and the keys are on this machine."""

import os
from collections.abc import Mapping
from pathlib import Path

from exo_supervisor.config import Config, Settings, decode, read
from exo_supervisor.errors import StartError
from exo_supervisor.host.credentials import Secret, read_secret
from exo_supervisor.host.user_socket import user_socket

SYSTEM_FILE = Path("/etc/exo-supervisor/supervisor.toml")
SYSTEM_RUNTIME = Path("/run/exo-supervisor")
SYSTEM_STATE = Path("/var/lib/exo-supervisor")
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
    path = find(named, environ)
    if path is None:
        return read(None, file="defaults", environ=environ, flags=flags)
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as fault:
        reason = (fault.strerror or type(fault).__name__).lower()
        raise NoFileError(f"the configuration {path} cannot be read: {reason}") from fault
    return read(decode(raw, str(path)), file=str(path), environ=environ, flags=flags)


def find(named: str | None, environ: Mapping[str, str]) -> Path | None:
    """Find the configuration file: named, the user's, the system's, or none."""
    if chosen := named or environ.get("EXO_SUPERVISOR_CONFIG"):
        return Path(chosen)
    return next((path for path in _optional(environ) if _why_hidden(path) == ""), None)


def hidden(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the optional files that we may not even look at, and why: they count as missing.

    A service's user may have a home that its own unit hides from it (`ProtectHome=`).
    """
    looked = {str(path): _why_hidden(path) for path in _optional(environ)}
    return {path: why for path, why in looked.items() if why}


def _optional(environ: Mapping[str, str]) -> tuple[Path, Path]:
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "/")) / ".config")
    return Path(home) / "exo-supervisor" / "supervisor.toml", SYSTEM_FILE


def _why_hidden(path: Path) -> str | None:
    """Return "" for a file that is there, None for a missing one, else why it is out of reach."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else None
        return (why or type(fault).__name__).lower()
    return ""


def socket_path(config: Config, environ: Mapping[str, str]) -> str:
    """Choose where to listen; raises StartError if no place is ours."""
    if config.server.socket:
        return config.server.socket
    if runtime := environ.get("RUNTIME_DIRECTORY"):
        return str(Path(runtime.partition(":")[0]) / "api.sock")
    if os.geteuid() == 0:
        return str(SYSTEM_RUNTIME / "api.sock")
    if (own := user_socket(environ)) is not None:
        return str(own)
    raise StartError(
        "there is no place for the socket: neither XDG_RUNTIME_DIR nor HOME is set; "
        "try: exo-supervisor run --socket PATH"
    )


def state_directory(environ: Mapping[str, str]) -> Path | None:
    """Choose where to keep what outlasts a restart; None if there is no place for it.

    systemd's choice, else for root the system's, else the user's (XDG Base Directory 0.8, which
    wants a relative path to be ignored).
    """
    if given := environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(given)
    if os.geteuid() == 0:
        return SYSTEM_STATE
    home = environ.get("HOME", "")
    for base in (environ.get("XDG_STATE_HOME", ""), home and f"{home}/.local/state"):
        if base.startswith("/"):
            return Path(base) / "exo-supervisor"
    return None


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


def keys(config: Config, environ: Mapping[str, str]) -> tuple[dict[str, Secret], dict[str, str]]:
    """Read every provider's key: the keys, and why each provider without one is off.

    Raises CredentialError for one that is there but cannot be used.
    """
    found: dict[str, Secret] = {}
    why_off: dict[str, str] = {}
    for provider in config.providers:
        try:
            secret = read_secret(provider.key_env, provider.name, environ)
        except StartError as fault:
            raise CredentialError(str(fault)) from fault
        if secret is not None:
            found[provider.name] = secret
            continue
        variable = f"{provider.key_env} is not set" if provider.key_env else "key_env is not set"
        why_off[provider.name] = f"{variable}, no credential {provider.name!r}"
    return found, why_off
