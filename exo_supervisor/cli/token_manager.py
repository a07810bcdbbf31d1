"""ai-token-manager's own file: an entry that it takes for one of the clouds it knows, put first."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import cast

from exo_supervisor.cli import own_file
from exo_supervisor.cli.edits import NotMergedError
from exo_supervisor.cli.errors import VerbError
from exo_supervisor.cli.fernet import encrypt, new_key
from exo_supervisor.client.json_object import Fields, fields, objects

NEW = '{"providers": [], "current_provider_index": 0}'
_NAMES = ("OpenRouter", "Together AI")
"""The classes it has that speak OpenAI's API at whatever address their entry says."""
_KEY = ".token_manager_key"


def entry(url: str, name: str = _NAMES[0], key: str = "...") -> Fields:
    """Return what it has to be told; `key` is the token, encrypted.

    Where no limits are given it has its own, which are soon reached.
    """
    usage = dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens", "requests"), 0)
    now = datetime.now().isoformat()  # noqa: DTZ005 - naive, as it compares it with
    return {
        "name": name,
        "api_key_encrypted": key,
        "base_url": f"{url}/v1",
        "models_endpoint": "models",
        "chat_endpoint": "chat/completions",
        "headers": {"Content-Type": "application/json"},
        "rate_limit": 1_000_000_000,
        "token_limit": 1_000_000_000_000,
        "status": "active",
        "usage": {**usage, "last_reset": now},
    }


def write(path: Path, url: str, token: str) -> bool:
    """Put the entry first, under the key that it has or will find. Raises VerbError."""
    key = path.with_name(_KEY)
    made = own_file.change(key, lambda text: text or new_key().decode())
    try:
        return own_file.change(
            path, _edit(url, encrypt(key.read_bytes(), token.encode())), NEW, secret=True
        )
    except (ValueError, VerbError) as error:
        if made:
            own_file.undo(key)
        if isinstance(error, VerbError):
            raise
        raise VerbError(
            f"{key} is no key of ai-token-manager's",
            why=[str(error)],
            hint="move it away: a new one is made, and what only it opens has to be entered anew",
        ) from error


def undo(path: Path) -> bool:
    """Put everything back. Raises VerbError."""
    changed = own_file.undo(path)
    return own_file.undo(path.with_name(_KEY)) or changed


def _edit(url: str, token: bytes) -> Callable[[str], str]:
    def edit(text: str) -> str:
        found = _read(text)
        known = objects(found["providers"])
        taken = {each.get("name") for each in known}
        name = next((name for name in _NAMES if name not in taken), None)
        if name is None:
            raise NotMergedError(
                f"it has both {' and '.join(_NAMES)} already, and knows no other name"
            )
        ours = entry(url, name, urlsafe_b64encode(token).decode())
        return json.dumps(
            {**found, "providers": [ours, *known], "current_provider_index": 0}, indent=2
        )

    return edit


def _read(text: str) -> Fields:
    try:
        found = fields(cast("object", json.loads(text)))
    except ValueError as error:
        raise NotMergedError(f"it is no JSON, and may be torn: {error}") from error
    if not isinstance(found.get("providers"), list):
        raise NotMergedError("it has no list of providers")
    return found
