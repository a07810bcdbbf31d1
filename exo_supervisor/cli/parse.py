"""From the words of a command line to `Arguments`, or to a usage error that names the nearest."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from exo_supervisor.cli.errors import VerbError, misuse
from exo_supervisor.cli.verbs import ELSEWHERE, EVERYWHERE, FLAGS, LEADS, PROGRAM, VERBS, Flag

_SHORT = {flag.short: flag for flag in FLAGS.values() if flag.short}
_VERSION = ("--version", "-V")
_HOTTEST = 2
_DIGITS = 10
_FIELDS = {"max-tokens": "max_tokens", "for": "lasting"}
"""Flags whose fields have other names."""
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
    told = Arguments(verb if verb in VERBS else "", tuple(words[1:]), help=helped)
    numbers = {flag: _read(flag, values[flag]) for flag in _NUMBERS if flag in values}
    said = {**dict.fromkeys(switches, True), **values, **numbers}
    return told._replace(**{_FIELDS.get(name, name): value for name, value in said.items()})


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
            if flag.value:
                values[flag.name] = _value(flag, value if equals else None, rest)
            elif equals:
                raise misuse(f"--{flag.name} takes no value", f"--{flag.name}")
            else:
                switches.add(flag.name)
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


def _read(flag: str, text: str) -> float:
    read, wanted, example = _NUMBERS[flag]
    found = read(text)
    if found is None:
        raise misuse(f"--{flag} wants {wanted}, got `{text}`", f"--{flag} {example}")
    return found


def _seconds(text: str) -> float | None:
    seconds = _number(text)
    return seconds if 0 < seconds < INF else None


def _lasting(text: str) -> float | None:
    """Read a time such as `90s`, `10m` or `2h`; a number alone is seconds."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _SECONDS else (text, "s")
    seconds = _number(number) * _SECONDS[unit] if number.isascii() else NAN
    return seconds if 0 < seconds < INF else None


def _whole(text: str) -> int | None:
    fits = text.isascii() and text.isdigit() and int(text[:10]) > 0 and len(text) < _DIGITS
    return int(text) if fits else None


def _temperature(text: str) -> float | None:
    found = _number(text)
    return found if 0 <= found <= _HOTTEST else None


def _number(text: str) -> float:
    """Read a number, as one that is none where the text is none."""
    try:
        return float(text)
    except ValueError:
        return NAN


def _fits(name: str, words: Sequence[str], flags: Sequence[str]) -> None:
    verb = VERBS.get(name)
    if verb is None:
        raise _unknown(name)
    hint = f"{PROGRAM} {name} --help"
    if len(words) > verb.most:
        raise misuse(f"{name} does not take the word `{words[verb.most]}`", hint)
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


_NUMBERS: Mapping[str, tuple[Callable[[str], float | None], str, str]] = {
    "max-tokens": (_whole, "a number above 0", "500"),
    "temperature": (_temperature, f"a number from 0 to {_HOTTEST}", "0.7"),
    **dict.fromkeys(("deadline", "wait", "every"), (_seconds, "seconds above 0", "60")),
    "days": (_whole, "a number above 0", "90"),
    "for": (_lasting, "a time as 90s, 10m or 2h", "10m"),
    "next": (_whole, "a number above 0", "20"),
}
"""Flags whose values are numbers: what reads one, what it wants, and an example."""
