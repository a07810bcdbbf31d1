"""Takes keys out of texts: those that we hold, and whatever looks like one of anybody's.

A provider may repeat what it was sent, its header with our key included, in an error that is for
the client's eyes or for the log.
"""

import re
from collections.abc import Iterable
from functools import cache

HIDDEN = "[secret]"
_LEAST = 8
"""Characters of a key's beginning that give it away: a text may be cut within the key."""

_PREFIXES = (
    r"[spr]k-|[spr]k_|gsk_|hf_|AIza|r8_|xai-|pplx-|nvapi-|ghp_|gho_|github_pat_|glpat-|"
    r"exs_|xox[abprs]-|AKIA|fw_|tgp_v1_|csk-|co_|ya29\.|"
    r"eyJ(?:[A-Za-z0-9_-]{8,255}+\.|[A-Za-z0-9_-]{256})"
)
"""Of a JWT no further than so many characters are looked at for its dot: whoever repeats its begin
would else have each repetition looked at to the end of all."""
_SHAPES = (
    rf"(?i)(?<![A-Za-z0-9])(?:{_PREFIXES})[A-Za-z0-9_.~+/=*…-]{{8,}}"
    r"|(?<![A-Za-z])bearer[ \t:=]+(?!token\b|auth)[^\s\"',;]{8,}"
)
_FIRST_WORDS = frozenset({
    "sk", "pk", "rk", "gsk", "hf", "r8", "xai", "pplx", "nvapi", "ghp", "gho", "github", "glpat",
    "exs", "xoxa", "xoxb", "xoxp", "xoxr", "xoxs", "fw", "tgp", "csk", "co", "ya29",
})  # fmt: skip
"""Of `_PREFIXES`: the words that end one of them."""
_LONGEST_NAME = 128
_AS_NAME = (
    r"(?:sk_|sk_live_|gsk_|hf_|AIza|r8_|xai_|ghp_|gho_|glpat_|fw_|tgp_v1_)[A-Za-z0-9]{12,}\Z"
    r"|github_pat_\w{12,}\Z|AKIA[A-Z0-9]{16}\Z|(?=[a-z]*\d)[a-z0-9]{32,}\Z"
)
_MIXED_LEAST = 24
"""Characters from which on a name of small and large letters and digits is no variable's."""


@cache
def _shapes() -> re.Pattern[str]:
    """Compile at the first use: no start waits for it, and each answer's model is gone through."""
    return re.compile(_SHAPES)


def hide_shapes(text: str) -> str:
    """Take out whatever looks like a key."""
    return text if _is_name(text) else _shapes().sub(HIDDEN, text)


def _is_name(text: str) -> bool:
    """Say whether a short text is one or some words in which no key begins, as most names are.

    A shape begins at a word's begin, by a word that stands before `-`, `_` or `.`, or by letters of
    a longer one. That costs a fraction of looking for the shapes, at each answer's id.
    """
    if len(text) > _LONGEST_NAME or not text.isascii():
        return False
    low = text.lower()
    words = low.replace("_", "-").replace(".", "-").split("-")
    return (
        _FIRST_WORDS.isdisjoint(words)
        and "".join(words).isalnum()
        and "aiza" not in low and "akia" not in low and "eyj" not in low
    )  # fmt: skip


def is_key(name: str) -> bool:
    """Say whether a key was written where a variable's name belongs."""
    if re.match(_AS_NAME, name) is not None:
        return True
    kinds = (str.islower, str.isupper, str.isdigit)
    mixed = all(any(kind(character) for character in name) for kind in kinds)
    return mixed and len(name) >= _MIXED_LEAST


class Keys:
    """The keys that we hold; what is too short to be told from a word is left alone."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        known = sorted({key for key in keys if len(key) >= _LEAST}, key=len, reverse=True)
        self._keys = [(key[:_LEAST], key) for key in known]

    def hide(self, text: str) -> str:
        """Take out our own keys, also if only the beginning of one is left, and all key shapes."""
        for begin, key in self._keys:
            if begin in text:
                text = _without(text, key)
        return hide_shapes(text)


def _without(text: str, key: str) -> str:
    """Take a key out in one walk: a text may be full of its begin, which many keys have alike."""
    begin, parts = 0, list[str]()
    while (at := text.find(key[:_LEAST], begin)) >= 0:
        parts += text[begin:at], HIDDEN
        begin = at + _shared(text[at : at + len(key)], key)
    return "".join((*parts, text[begin:]))


def _shared(text: str, key: str) -> int:
    """Count the characters with which both begin."""
    both = zip(text, key, strict=False)
    return next((at for at, (one, other) in enumerate(both) if one != other), len(text))
