"""Whether one value fits its key, decided value by value so that every fault can be told."""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Literal, cast, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import FieldInfo

from exo_supervisor.config.defaults_check import take_defaults
from exo_supervisor.config.id_checks import listed_problem, priced_problem
from exo_supervisor.config.inline_tables import take_budget, take_rates
from exo_supervisor.config.literal import literal, shown
from exo_supervisor.config.network_checks import (
    Problem,
    interface_problem,
    namespace_problem,
    range_problem,
    tcp_problem,
)
from exo_supervisor.config.not_yet import refusal
from exo_supervisor.config.number import too_small
from exo_supervisor.config.similar import nearest
from exo_supervisor.config.tables import converts, unwrap, wants
from exo_supervisor.config.tariff import take_tariff
from exo_supervisor.config.time_zone import zone_problem
from exo_supervisor.config.unfit import Unfit
from exo_supervisor.core.keys import is_key

_SOCKET_PATH = 107  # bytes; sockaddr_un holds 108 with the closing NUL, unix(7)
_HOST = re.compile(r"[^\s/?#@:\[\]%\\]+")
_PROXY_EXAMPLE = 'for example "http://proxy.example:3128"'
_URL_EXAMPLE = 'for example "http://192.168.1.7:52415"'
_VARIABLE_EXAMPLE = (
    'for example "OPENROUTER_API_KEY"; and make a new key, for this one was written down'
)
_ROUTES = (
    *("/chat/completions", "/completions", "/responses", "/messages", "/models", "/embeddings"),
)
"""What stands behind a base URL in the examples that people paste from."""
_KNOWN_PATHS = frozenset({"/v1", *(f"/v1{route}" for route in _ROUTES)})
_TABLES: Mapping[str, Callable[[str, object], object]] = MappingProxyType(
    {
        "model.defaults": take_defaults,
        "client.rate": take_rates,
        "client.budget": take_budget,
        "provider.budget": take_budget,
        "power.tariff": take_tariff,
    }
)
"""Keys whose values are tables of their own."""
_NUMBERED = frozenset({"client.uid", "client.gid"})
"""Lists of names, each of which may also be a number."""
_RESERVED = frozenset({"api-token", ".", ".."})

# A secret may stand where its variable's name, or a bare URL, belongs: these are not repeated.
_UNSAID = frozenset(
    {
        "server.token_env",
        "provider.key_env",
        "client.token_env",
        "discovery.static",
        "provider.base_url",
        "provider.proxy",
    }
)


_ONE_OR_MANY = frozenset({"model.exo", "provider.key_env"})
"""Keys whose list may be written as the one text in it."""


class UnfitError(Exception):
    """A value does not fit; `found` says all that is wrong with it."""

    def __init__(self, *found: Unfit) -> None:
        super().__init__(found)
        self.found = found


def take(table: str, field: FieldInfo, value: object) -> object:
    """Promise the value as its struct holds it.

    :raises UnfitError: it has the wrong type, is out of range, or asks for what is not built.
    """
    key = f"{table}.{field.encode_name}"
    plain, _ = unwrap(field.type)
    taken: object
    if key in _TABLES:
        taken = _TABLES[key](key, value)
    elif get_origin(plain) is tuple:
        taken = _take_list(key, get_args(plain)[0], value)
    else:
        taken = _take_one(key, field.type, value)
    if isinstance(taken, Unfit):
        raise UnfitError(taken)
    if (hint := refusal(key, taken)) is not None:
        raise UnfitError(Unfit("not_built", f"{key} asks for what is not built yet", hint))
    return taken


def _take_list(key: str, kind: object, value: object) -> object:
    if key in _ONE_OR_MANY and isinstance(value, str):
        value = [value] if value or key != "provider.key_env" else []
    if not isinstance(value, list | tuple):
        message = f"{key} wants a list{_got(key, value)}"
        return Unfit("wrong_type", message, _example(kind, "[]"))
    items = cast("Sequence[object]", value)
    if key in _NUMBERED:
        items = [str(item) if type(item) is int and item >= 0 else item for item in items]
    taken = tuple(_take_one(key, kind, item, index) for index, item in enumerate(items))
    if wrong := [item for item in taken if isinstance(item, Unfit)]:
        raise UnfitError(*wrong)
    if key == "provider.key_env" and len(set(taken)) < len(taken):
        return Unfit("bad_value", f"{key} names a variable twice", "name each once")
    if key == "routing.order" and (not taken or len(set(taken)) < len(taken)):
        message = f"{key} wants each tier once, at least one"
        return Unfit("bad_value", message, 'allowed: "exo", "cloud", in the order to try')
    return taken


def _take_one(key: str, kind: object, value: object, index: int | None = None) -> object:
    plain, meta = unwrap(kind)
    where = key if index is None else f"{key}[{index}]"
    simple = str if get_origin(plain) is Literal else plain
    if type(value) is not simple and not (simple is float and type(value) is int):
        message = f"{where} wants {wants(kind)}{_got(key, value)}"
        return Unfit("wrong_type", message, _example(kind), index)
    if not converts(value, kind):
        message = f"{where} wants {wants(kind)}{_limit(meta, value)}{_got(key, value)}"
        return Unfit("bad_value", message, _example(kind) or _near(plain, value), index)
    if tiny := too_small(where, value, index):
        return tiny
    if simple is float and meta and meta.extra and _decimals(value) > meta.extra["decimals"]:
        message = f"{where} has more than {meta.extra['decimals']} decimals{_got(key, value)}"
        return Unfit("bad_value", message, _example(kind), index)
    if isinstance(value, str) and (problem := _text_problem(key, value)):
        return Unfit("bad_value", f"{where} {problem[0]}", problem[1], index)
    return float(cast("int", value)) if simple is float else value


def _decimals(value: object) -> int:
    return -cast("int", Decimal(str(value)).as_tuple().exponent)


def _limit(meta: msgspec.Meta | None, value: object) -> str:
    if meta is None:
        return ""
    if isinstance(value, str) and meta.max_length is not None and len(value) > meta.max_length:
        return f", at most {meta.max_length} characters"
    above = isinstance(value, int | float) and meta.gt is not None and value > meta.gt
    return f", at most {meta.le:g}" if above and meta.le is not None else ""


def _got(key: str, value: object) -> str:
    return "" if key in _UNSAID else f", got {shown(value)}"


def _example(kind: object, brackets: str = "") -> str:
    _, meta = unwrap(kind)
    if meta is None or not meta.examples:
        return ""
    text = literal(meta.examples[0])
    return f"for example {brackets[:1]}{text}{brackets[1:]}"


def _near(plain: object, value: object) -> str:
    """Name the choice that comes nearest, where there is a choice of words."""
    words = [word for word in get_args(plain) if isinstance(word, str) and word]
    near = nearest(value[:64], words) if isinstance(value, str) else ""
    return f'similar: "{near}"' if near else ""


def _text_problem(key: str, value: str) -> Problem | None:
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in value):  # noqa: PLR2004 - ASCII's own bounds
        return "holds a control character", "remove it"
    if any(0xD800 <= ord(char) <= 0xDFFF for char in value):  # noqa: PLR2004 - surrogates, Unicode 3.9
        return "is not valid UTF-8", "write it in UTF-8"
    check = _CHECKS.get(key)
    return check(value) if check else None


def _socket_problem(path: str) -> Problem | None:
    size = len(path.encode())
    if size > _SOCKET_PATH:
        return f"is {size} bytes long", f"a Unix socket's path has at most {_SOCKET_PATH}"
    return None


def _seed_problem(url: str) -> Problem | None:
    if problem := _url_problem(url):
        return problem
    path = urlsplit(url).path.rstrip("/")
    if path in _KNOWN_PATHS:
        return f"ends in {path}, but wants a node's base URL", f"remove {path}"
    return None


def _cloud_url_problem(url: str) -> Problem | None:
    if problem := _url_problem(url):
        return problem
    found = next((end for end in _ROUTES if url.rstrip("/").endswith(end)), None)
    if found is None:
        return None
    return f"ends in {found}, but wants the API's base URL", f"remove {found}"


def _url_problem(url: str) -> Problem | None:
    """Find what keeps a URL from being a plain base, without repeating any part of it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "is no URL that can be read", _URL_EXAMPLE
    if parts.scheme not in ("http", "https"):
        return "wants a URL that begins with http:// or https://", _URL_EXAMPLE
    if "@" in parts.netloc:
        return "holds a user name or password", "remove what stands before the @"
    if "?" in url or "#" in url:
        return "wants a base URL without a query or fragment", "remove what follows ? or #"
    if port == 0 or not _is_host(host, bracketed="[" in parts.netloc):
        return "names no host and port that can be reached", _URL_EXAMPLE
    return None


def _proxy_problem(url: str) -> Problem | None:
    """Find what keeps a URL from naming a proxy, without repeating any part of it."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "is no URL that can be read", _PROXY_EXAMPLE
    if parts.scheme != "http":
        return "wants an HTTP CONNECT proxy, whose URL begins with http://", _PROXY_EXAMPLE
    if parts.path not in ("", "/") or "?" in url or "#" in url:
        return "wants a proxy's URL without a path, query or fragment", _PROXY_EXAMPLE
    if port == 0 or not _is_host(host, bracketed="[" in parts.netloc):
        return "names no host and port that can be reached", _PROXY_EXAMPLE
    return None


def _is_host(host: str, *, bracketed: bool) -> bool:
    if not bracketed:
        return _HOST.fullmatch(host) is not None
    try:
        return ipaddress.ip_address(host).version == 6  # noqa: PLR2004 - the only kind in brackets, RFC 3986 3.2.2
    except ValueError:
        return False


def _provider_problem(name: str) -> Problem | None:
    if name in _RESERVED:
        return f"cannot be `{name}`, which has a meaning of its own", 'for example "openrouter"'
    return None


def _variable_problem(name: str) -> Problem | None:
    """Find a key that stands where its variable's name belongs, without repeating it."""
    if is_key(name):
        return "holds a key, and wants the name of the variable that holds it", _VARIABLE_EXAMPLE
    return None


_CHECKS: Mapping[str, Callable[[str], Problem | None]] = MappingProxyType(
    {
        "budget.time_zone": zone_problem,
        "server.socket": _socket_problem,
        "server.tcp": tcp_problem,
        "discovery.static": _seed_problem,
        "discovery.namespaces": namespace_problem,
        "discovery.interfaces": interface_problem,
        "discovery.ranges": range_problem,
        "provider.proxy": _proxy_problem,
        "provider.base_url": _cloud_url_problem,
        "provider.name": _provider_problem,
        "provider.models": listed_problem,
        "price.model": priced_problem,
        "provider.key_env": _variable_problem,
        "server.token_env": _variable_problem,
        "client.token_env": _variable_problem,
    }
)
