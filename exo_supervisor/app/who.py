"""Who the clients of the configuration are: the ids of their users and groups, and their tokens."""

import pwd
from collections.abc import Iterable, Mapping
from time import time

import msgspec
from msgspec.structs import asdict

from exo_supervisor.app.inputs import Inputs
from exo_supervisor.app.kept_file import read_file, writes_to
from exo_supervisor.config.schema import Client, Config
from exo_supervisor.core.policy import DEFAULT_CLIENT, ClientRule
from exo_supervisor.errors import StartError
from exo_supervisor.host.credentials import Secret, read_secret
from exo_supervisor.host.unix import group_id_of
from exo_supervisor.serve.clients import Who
from exo_supervisor.serve.tokens import Tokens, decode_tokens, digest_of
from exo_supervisor.views.day_book import ClientSeen, DayBook
from exo_supervisor.views.day_pages import Used

TOKENS = "tokens.json"
CREDENTIAL = "client-"
"""What the name of a systemd credential begins with that holds a client's token."""


class WhoError(StartError):
    """A client of the configuration is nobody here, or its token cannot be used."""


def user_id(name: str, key: str) -> int:
    """Find a user's id by name or number. Raises StartError, naming the key that it stands at."""
    if name.isascii() and name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        text = f"{key} names {name!r}, and this machine has no such user"
        raise StartError(f"{text}; create it with useradd, or change {key}") from None


def who_of(config: Config, rules: Iterable[ClientRule]) -> tuple[Who, ...]:
    """Say for whom each rule holds; the rules are those of the configuration's rows, in order.

    Raises WhoError for a user or a group that this machine does not know.
    """
    try:
        return tuple(
            Who(
                rule,
                frozenset(user_id(name, f"uid of client {row.name!r}") for name in row.uid),
                frozenset(_group_id(name, f"gid of client {row.name!r}") for name in row.gid),
            )
            for row, rule in zip(config.clients, rules, strict=True)
        )
    except StartError as fault:
        raise WhoError(str(fault)) from None


def clients_seen(config: Config, book: DayBook) -> list[ClientSeen]:
    """List the clients with what they used today; who is none of them comes last."""
    used, rows = book.used(), {row.name: row for row in config.clients}
    rows.setdefault("default", Client(name="default"))
    rows["default"] = rows.pop("default")
    told = ({**asdict(row), **asdict(used.get(row.name, Used()))} for row in rows.values())
    return [msgspec.convert(each, ClientSeen) for each in told]


def _group_id(name: str, key: str) -> int:
    if name.isascii() and name.isdigit():
        return int(name)
    return group_id_of(name, key) or 0  # of a name that is not empty, it finds one or raises


def client_tokens(config: Config, environ: Mapping[str, str]) -> dict[str, Secret]:
    """Read the tokens of the clients that have one by the configuration. Raises WhoError.

    One whose `token_env` is not set has none of that kind: it may have others.
    """
    try:
        found = {
            row.name: read_secret(row.token_env, CREDENTIAL + row.name, environ)
            for row in config.clients
            if row.name != "default"
        }
    except StartError as fault:
        raise WhoError(str(fault)) from None
    return {name: secret for name, secret in found.items() if secret is not None}


async def open_tokens(given: Inputs) -> Tokens:
    """Take the tokens of the configuration, and those that were made in earlier runs."""
    fixed = [(given.tcp[1], DEFAULT_CLIENT.name)] if given.tcp is not None else []
    fixed += [(secret, name) for name, secret in given.client_tokens.items()]
    digests = {digest_of(secret.reveal()): name for secret, name in reversed(fixed)}
    path = given.state and given.state / TOKENS
    made = await read_file(path, "tokens", decode_tokens, ())
    return Tokens(time, digests, made, None if path is None else writes_to(path))
