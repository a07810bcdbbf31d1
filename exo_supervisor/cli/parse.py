"""From the words of a command line to `Arguments`, or to a usage error that names the nearest."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from exo_supervisor.cli.errors import VerbError, misuse
from exo_supervisor.cli.verbs import ELSEWHERE, EVERYWHERE, FLAGS, LEADS, PROGRAM, VERBS, Flag

_SHORT = {flag.short: flag for flag in FLAGS.values() if flag.short}
_VERSION = ("--version", "-V")
_HOTTEST = 2
_DIGITS = 10
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
NAN, INF = float("nan"), float("inf")


class Arguments(NamedTuple):
    """What the person asked for; `None` means not said.

    `deadline` and `lasting` (the flag `for`) are in seconds.
    """

    verb: str = ""
    words: tuple[str, ...] = ()
    config: str | None = None
    socket: str | None = None
    json: bool = False
    help: bool = False
    strict: bool = False
    all: bool = False
    forget: bool = False
    keep: bool = False
    debug: bool = False
    yes: bool = False
    write: bool = False
    undo: bool = False
    run: bool = False
    model: str | None = None
    system: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    privacy: str | None = None
    route: str | None = None
    deadline: float | None = None
    wait: float | None = None
    every: float | None = None
    days: int | None = None
    lasting: float | None = None
    next: int | None = None
    client: str | None = None
    open: bool = False
    by: str | None = None
    since: str | None = None
    until: str | None = None
    currency: str | None = None
    target: str | None = None
    csv: bool = False
    last: bool = False
    shift: bool = False


def parse(argv: Sequence[str]) -> Arguments:
    """Read flags wherever they stand, `--` ending them; raises `VerbError` for what is unknown."""
    switches, values, words = _split(argv)
    helped = "help" in switches
    if words and words[0] == "help":
        helped, words = True, words[1:]
        if words and words[0] not in VERBS:
            raise _unknown(words[0])
    verb = words[0] if words else ""
    if verb and not helped:
        _fits(verb, words[1:], [*switches, *values])
    return Arguments(
        verb=verb if verb in VERBS else "",
        words=tuple(words[1:]),
        config=values.get("config"),
        socket=values.get("socket"),
        json="json" in switches,
        help=helped,
        strict="strict" in switches,
        all="all" in switches,
        forget="forget" in switches,
        keep="keep" in switches,
        debug="debug" in switches,
        yes="yes" in switches,
        write="write" in switches,
        undo="undo" in switches,
        run="run" in switches,
        model=values.get("model"),
        system=values.get("system"),
        max_tokens=_whole("max-tokens", values, "500"),
        temperature=_temperature(values.get("temperature")),
        privacy=values.get("privacy"),
        route=values.get("route"),
        deadline=_seconds("deadline", values),
        wait=_seconds("wait", values),
        every=_seconds("every", values),
        days=_whole("days", values, "90"),
        lasting=_lasting(values.get("for")),
        next=_whole("next", values, "20"),
        client=values.get("client"),
        open="open" in switches,
        by=values.get("by"),
        since=values.get("since"),
        until=values.get("until"),
        currency=values.get("currency"),
        target=values.get("target"),
        csv="csv" in switches,
        last="last" in switches,
        shift="shift" in switches,
    )


def _split(argv: Sequence[str]) -> tuple[set[str], dict[str, str], list[str]]:
    """Split what was typed into switches, flags with their values, and words."""
    switches: set[str] = set()
    values: dict[str, str] = {}
    words: list[str] = []
    rest = iter(argv)
    for word in rest:
        if word == "--":
            words.extend(rest)
        elif not word.startswith("-") or word == "-":
            words.append(word)
        else:
            name, equals, value = word.partition("=")
            if name in _VERSION and not words:
                words.append("version")
                continue
            flag = _flag(name)
            if not flag.value:
                _no_value(flag, equals)
                switches.add(flag.name)
            else:
                values[flag.name] = _value(flag, value if equals else None, rest)
    return switches, values, words


def similar(word: str, known: Sequence[str]) -> str:
    """Name the nearest known words in a statement, or nothing."""
    from difflib import get_close_matches

    near = get_close_matches(word, known, n=3, cutoff=0.6)
    return ", similar: " + ", ".join(f"`{name}`" for name in near) if near else ""


def _flag(name: str) -> Flag:
    flag = _SHORT.get(name) or (FLAGS.get(name[2:]) if name.startswith("--") else None)
    if flag is None:
        near = similar(name, [*(f"--{known}" for known in FLAGS), *VERBS])
        raise misuse(
            f"unknown flag `{name}`{near}",
            f"{PROGRAM} --help, or -- before words that start with a dash",
        )
    return flag


def _no_value(flag: Flag, equals: str) -> None:
    if equals:
        raise misuse(f"--{flag.name} takes no value", f"--{flag.name}")


def _value(flag: Flag, given: str | None, rest: Iterator[str]) -> str:
    value = next(rest, None) if given is None else given
    if not value or (given is None and value.startswith("--")):
        raise misuse(f"--{flag.name} wants a value", f"--{flag.name} {flag.value}")
    if flag.choices and value not in flag.choices:
        wanted = " or ".join(f"`{choice}`" for choice in flag.choices)
        raise misuse(
            f"--{flag.name} wants {wanted}, got `{value}`", f"--{flag.name} {flag.choices[0]}"
        )
    return value


def _seconds(flag: str, values: Mapping[str, str]) -> float | None:
    text = values.get(flag)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = NAN
    if not 0 < seconds < INF:
        raise misuse(f"--{flag} wants seconds above 0, got `{text}`", f"--{flag} 60")
    return seconds


def _lasting(text: str | None) -> float | None:
    """Read a time such as `90s`, `10m` or `2h`; a number alone is seconds."""
    if text is None:
        return None
    number, unit = (text[:-1], text[-1]) if text[-1:] in _SECONDS else (text, "s")
    try:
        found = float(number) * _SECONDS[unit] if number.isascii() else NAN
    except ValueError:
        found = NAN
    if not 0 < found < INF:
        raise misuse(f"--for wants a time as 90s, 10m or 2h, got `{text}`", "--for 10m")
    return found


def _fits(name: str, words: Sequence[str], flags: Sequence[str]) -> None:
    verb = VERBS.get(name)
    if verb is None:
        raise _unknown(name)
    hint = f"{PROGRAM} {name} --help"
    if len(words) > verb.most:
        raise _too_many(name, words[verb.most], hint)
    for flag in flags:
        if flag not in verb.flags and flag not in EVERYWHERE:
            raise misuse(f"{name} has no flag --{flag}", hint)


def _unknown(name: str) -> VerbError:
    """Lead on from a verb that does not exist: to the one of that meaning, or to the nearest."""
    lead = LEADS.get(name)
    if lead is not None:
        sentence = VERBS[lead].help
        text = f"unknown verb `{name}`: here it is `{lead}`, to {sentence}"
        return misuse(text, f"{PROGRAM} {lead}")
    if name in ELSEWHERE:
        why, by_hand, command = ELSEWHERE[name]
        return misuse(f"unknown verb `{name}`: {why}", f"{command}, or {by_hand}")
    return misuse(f"unknown verb `{name}`{similar(name, list(VERBS))}", f"{PROGRAM} --help")


def _whole(flag: str, values: Mapping[str, str], example: str) -> int | None:
    text = values.get(flag)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:10]) > 0 and len(text) < _DIGITS):
        raise misuse(f"--{flag} wants a number above 0, got `{text}`", f"--{flag} {example}")
    return int(text)


def _temperature(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        found = float(text)
    except ValueError:
        found = NAN
    if not 0 <= found <= _HOTTEST:
        wanted = f"--temperature wants a number from 0 to {_HOTTEST}"
        raise misuse(f"{wanted}, got `{text}`", "--temperature 0.7")
    return found


def _too_many(name: str, word: str, hint: str) -> VerbError:
    return misuse(f"{name} does not take the word `{word}`", hint)
