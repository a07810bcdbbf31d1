"""How upstreams word a refusal: patterns, read in the order in which they take precedence.

A status alone says little: a retired model comes as 400, 404 or 410, an empty account as 400, 402,
403 or 429. What the words are about decides who else may be asked. Names that a client chose (a
model's id in quotes) are taken out before words are looked for that an id could hold.

The patterns are texts, which `re` compiles at their first use and keeps: to compile them costs more
than the rest of this package's import, and most services never meet a refusal.
"""

import re
from enum import Enum

from exo_supervisor.core.load.marks import STREAM, THINKING
from exo_supervisor.core.policy import NO_STREAM_OPTIONS


class About(Enum):
    """What a refusal speaks of, in order of precedence."""

    KEY = "key"
    MODEL = "model"
    LENGTH = "length"
    SPARE = "spare"
    FIELD = "field"
    HERE = "here"


_QUOTED = r"`[^`]{1,200}`|'[^']{1,200}'|\"[^\"]{1,200}\""

_SMALLER = (
    r"(?is)"
    r"can only afford|fewer max_?tokens|(lower|reduce|decrease) (the |your )?(`?max_?tokens|prompt|"
    r"message|input|request)|(tokens?|request) must be reduced|request too large"
)
"""The account could bear a smaller request."""

_MONEY = (
    r"(?is)"
    r"insufficient[ _](quota|credits?|balance|funds)|exceeded your (current )?quota|"
    r"exceeded your (monthly |included )+credits|out of credits?|no credits? (left|remaining)|"
    r"credit balance|credits? (have |has |are |is )?(been )?(exhausted|depleted|used up)|"
    r"(used|depleted) (all|your) [\w ]{0,30}credits|"
    r"billing[ _](not[ _]active|hard[ _]limit|details)|"
    r"(spending|usage|key|credit|monthly) limit (was |has been )?(exceeded|reached)|"
    r"monthly spending limit|more credits|payment[ _]required|account balance|"
    r"in arrears|\barrearage\b|overdue"
)
_KEY = (
    r"(?is)"
    r"api[ _-]?key|\binvalid[ _]key|\b(bearer|access|auth\w*) token|unauthori[sz]ed|"
    r"authenticat|credentials|permission[ _]denied|insufficient permissions|missing scopes|"
    r"unregistered callers|has not been used in project|service[ _]disabled|"
    r"(account|organization|project|team|user|workspace)\b[^.]{0,60}?\b"
    r"(inactive|not active|disabled|deactivated|suspended|blocked|terminated|archived|deleted)|"
    r"account_deactivated|user not found"
)
_NOT_ABOUT_A_KEY = (
    r"(?is)"
    r"\b(down|up)load|\bfetch|\bimages?\b|\bmcp\b|\btools?\b|\bfunctions?\b|\bmetadata\b|"
    r"unrecogni[sz]ed (request )?(argument|parameter|field|key|property)|"
    r"unknown (parameter|field|name|argument|variant|property)|extra (inputs?|fields?) |"
    r"additional propert|(permission|access|allowed|authori[sz]ed|entitled)\b[^.]{0,40}\bmodels?\b"
)
"""A request that has a member of such a name, or needs something else that asks for a key."""
_MODEL = (
    r"(?is)"
    r"model_(not_found|decommissioned|not_available|deprecated|retired|not_supported|not_exist)|"
    r"(unknown|unsupported|invalid|nonexistent)[ _]model\b|no such model|not a valid model|"
    r"could not find (the )?(requested )?model\b|"
    r"\bmodels?\b.{0,160}?("
    r"(does|do|did) ?n[o']t exist|not exist\b|(was |is |be )?not found|is unavailable|"
    r"no longer (available|supported|served|exists)|reached (its|the) end of life|"
    r"(has|have) been (deprecated|retired|decommissioned|removed|discontinued|shut ?down|sunset)|"
    r"is (deprecated|retired|decommissioned|discontinued|not (currently )?available)|"
    r"identifier is invalid|"
    r"not supported by (any )?provider)|"
    r"(not|n't) have access to (the |this )?model|unable to access model|no endpoints found for|"
    r"not supported by (any )?provider"
)
_NOT_ABOUT_A_MODEL = (
    r"(?is)"
    r"\btools?\b|\bfunctions?\b|parameter|\bregion|country|territory|location|polic(y|ies)|guardrail|"
    r"that support|support the provided|image input|modalit|allowed providers|privacy"
)
_RATE = r"(?is)per (minute|min|hour|day)\b|\b[TR]P[MD]\b|rate limit"
_LENGTH = (
    r"(?is)"
    r"context[ _](length|window|size|limit)|maximum context|"
    r"maximum (allowed )?(prompt|input|sequence|model) length|max(imum)?[ _]model[ _]len|"
    r"(prompt|input|request|conversation) (is )?too long|too many (input |prompt )?tokens|"
    r"request_too_large|request entity too large|string_above_max_length|"
    r"(input|prompt|request(ed)?)[ _]tokens? (count |length )?.{0,40}?exceed|"
    r"exceed\w* (the )?(model'?s )?(maximum|available|configured) "
    r"(number of tokens|context|limit of)|"
    r"token count .{0,40}?exceed|exceed\w*( the)?( model)? (token limit|limit of [\d,]+)|"
    r"tokens in request more than max|`?inputs`? (tokens \+|must have less than)|"
    r"range of input length|exceed\w* (the )?max(imum)? message tokens|\btokens? limit exceeded|"
    r"(prompt|input) length \(?[\d,]+\)? exceeds|"
    r"reduce the length of|longer than the (model|context)|greater than the context"
)
_USAGE = r"(?is)stream_?options|include_?usage"
_STREAM = (
    r"(?is)"
    r"verified to stream|(not|n't|cannot) (currently )?(be )?(support\w*|allow\w*|us\w+|enable\w*)"
    r" (response |token )?stream|"
    r"streaming is (currently )?disabled|['\"`]?stream['\"`]? must be (set to )?false|"
    r"stream(ing|ed)?\b['\"`]? ?(mode|responses?|=\s?true|output)?\s?(is|are|does|was)? ?"
    r"(not|n't|un) ?(yet |currently )?(support|allow|available|enable|implement|permit|accept)|"
    r"(unsupported|unrecognized|unknown|unexpected)[^.]{0,40}?['\"`]stream['\"`]|"
    r"['\"`]stream['\"`] (is unsupported|does not)"
)
_HERE = (
    r"(?is)"
    r"moderation|flagged|content[ _](filter|policy|management)|safety|inappropriate|sensitive|"
    r"prohibited[ _]content|content exists risk|"
    r"data_inspection|responsible ai|usage polic|data polic|privacy|guardrail|"
    r"\bregions?\b|\bcountry|territor(y|ies)|location|allowed providers|"
    r"(your|current|free) (plan|tier|subscription)|(upgrade|usage|service) (your )?(plan|tier)|"
    r"verified to use"
)
_FIELD = (
    r"(?is)"
    r"unsupported|(not|n't|cannot) (currently |yet |be )?(support|accept|permit|allow)|"
    r"unrecogni[sz]ed|unknown (parameter|field|name|argument|key|variant|property)|"
    r"(un)?expected (keyword|field|property|parameter|argument|last role)|extra_forbidden|"
    r"extra (inputs?|fields?) |additional propert|cannot find field|that support|"
    r"support the provided|not (yet )?implemented|must be a string|prefill|last role|"
    r"must end with a user|only supports|only allows|at most \d+ [\w ()]{1,40} may be provided|"
    r"(deprecated|not available) (for|with) this model|cannot both be specified|supports at most|"
    r"supported by this model|"
    r"maximum allowed number of output|image input|multimodal|mmproj|requires --enable"
)
SPARE = {
    **{
        name: rf"(?i)(?<![a-z_]){name.replace('_', '_?')}(?![a-z_])"
        for name in (
            "temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty",
            "repetition_penalty", "max_tokens", "max_completion_tokens",
        )
    },
    "reasoning_effort": r"(?i)(?<![a-z_])(reasoning[_.]?)?effort(?![a-z_])",
}  # fmt: skip
"""How upstreams call the fields that a request can be made without, or with another name."""
_INSTEAD = r"(?is)\b(use|try) .{1,60}? instead"
_NOT_SPARE = (
    r"(?is)"
    r"between|\brange\b|(less|greater|more|lower|higher|larger) than|at (most|least)|must be|"
    r"maximum|minimum|exceed|both be|<=|>=|\btools?\b|\bfunctions?\b|response_?format|json_?schema|"
    r"\bstop\b|\bimages?\b"
)
"""Of a value that is wrong, of two fields at once, or of what changes the answer."""
_SIGNATURE = (
    r"(?is)"
    r"(invalid|missing)\b.{0,40}\bsignature|\bsignature\b.{0,60}(invalid|verif|not valid|decrypt)|"
    r"(invalid|cannot be modified).{0,60}`?(redacted_)?thinking`? block"
)
"""Thoughts of an earlier turn were signed by another provider, or with another key."""
_SERVER = (
    r"(?is)"
    r"queue( is)? full|queue_full|overloaded|server (is )?busy|maximum pending requests|"
    r"at capacity|no (free |available )?slots?\b|loading model"
)
_FULL = rf"{_SERVER}|too many (concurrent )?requests|rate[ _-]?limit"
_ECHO = r"""(?s)(\[?type=\w+, )?(['"]input['"]\s*:|input_value\s*=).*"""
_PAGE = r"(?is)<(?:!doctype|html|head|body|\?xml)\b.*"
_WAIT = (
    r"(?i)"
    r"(?:try again|retry|available again|reset\w*) (?:in|after) (?:about )?"
    r"(?:(?P<h>\d+) ?h[a-z]* ?)?(?:(?P<m>\d+) ?m(?!s|il)[a-z]* ?)?"
    r"(?:(?P<s>\d+(?:\.\d+)?) ?(?P<unit>ms|s))?"
)


def about(status: int, words: str) -> About | None:
    """Say what a refusal with a 4xx status speaks of; None where its words do not tell."""
    if _is_of_key(status, words):
        return About.KEY
    if _is_of_model(status, words):
        return About.MODEL
    if is_too_long(words):
        return About.LENGTH
    if spare_field(status, words):
        return About.SPARE
    if re.search(_SMALLER, words) or _is_of_here(words):
        return About.HERE
    return About.FIELD if status in {400, 404, 422} and re.search(_FIELD, words) else None


def spare_field(status: int, words: str) -> str:
    """Name the one field for which a request is refused and that it can be made without."""
    if re.search(_USAGE, words):
        return NO_STREAM_OPTIONS
    if re.search(_STREAM, words):
        return STREAM
    if status not in {400, 422}:
        return ""
    if re.search(_SIGNATURE, words):
        return THINKING
    if not re.search(_FIELD, words) or re.search(_NOT_SPARE, words):
        return ""
    said = re.sub(_INSTEAD, "", words)
    named = [name for name, pattern in SPARE.items() if re.search(pattern, said)]
    return named[0] if len(named) == 1 else ""


def is_too_long(words: str) -> bool:
    """Say whether a prompt was longer than a model takes; a limit by the minute is none of it."""
    return re.search(_LENGTH, words) is not None and re.search(_RATE, words) is None


def is_of_money(words: str) -> bool:
    """Say whether an account has nothing left, however small a request is."""
    return re.search(_MONEY, words) is not None and re.search(_SMALLER, words) is None


def asks_for_less(words: str) -> bool:
    """Say whether a smaller request would pass."""
    return re.search(_SMALLER, words) is not None


def is_full(words: str) -> bool:
    """Say whether a server has more to do than it takes on."""
    return re.search(_FULL, words) is not None


def is_of_server(words: str) -> bool:
    """Say whether a server has too much to do, whoever asks it."""
    return re.search(rf"{_SERVER}|upstream", words) is not None


def without_echo(words: str) -> str:
    """Leave out a page, and what a validator repeats of the request."""
    return re.sub(_ECHO, "…", re.sub(_PAGE, "", words))


def wait_named(words: str) -> float | None:
    """Read the seconds after which a text says to come again."""
    found = re.search(_WAIT, words)
    if found is None or not any(found.group("h", "m", "s")):
        return None
    seconds = float(found["s"] or 0) / (1000 if (found["unit"] or "").lower() == "ms" else 1)
    return int(found["h"] or 0) * 3600 + int(found["m"] or 0) * 60 + seconds


def _is_of_key(status: int, words: str) -> bool:
    if status == 401:  # noqa: PLR2004 - unauthorized, RFC 9110
        return True
    if re.search(_SMALLER, words):
        return False
    if status == 402 or re.search(_MONEY, words):  # noqa: PLR2004 - payment required
        return True
    if status not in {400, 403} or re.search(_MODEL, words):
        return False
    said = re.sub(_QUOTED, "", words)
    return re.search(_KEY, said) is not None and re.search(_NOT_ABOUT_A_KEY, said) is None


def _is_of_model(status: int, words: str) -> bool:
    if status not in {404, 410} and not re.search(_MODEL, words):
        return False
    return not re.search(_NOT_ABOUT_A_MODEL, re.sub(_QUOTED, "", words))


def _is_of_here(words: str) -> bool:
    return re.search(_HERE, re.sub(_QUOTED, "", words)) is not None
