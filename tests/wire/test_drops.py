"""Never a silent drop: each member of each dialect's bodies, towards each target's dialect.

A member is carried (the target is asked something else without it), or it is asked of nobody who
does not honour it (a demand, or a 400 that names it), or it stands in `HARMLESS` with its reason.
The same holds of a member that nobody has heard of, in each object of each body.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, cast

import msgspec
import pytest

from exo_supervisor.core.outcomes import BadRequestError
from exo_supervisor.wire.anthropic.outbound import IGNORED
from exo_supervisor.wire.chat.request import Ask, ChatRequest
from exo_supervisor.wire.exo.traits import PEERS, TRAITS
from exo_supervisor.wire.table import DIALECTS, OPERATIONS
from exo_supervisor.wire.untrusted_json import as_list, as_object
from tests.wire.documented import BODIES, DEMANDED, HARMLESS, Json

Path = tuple[str | int, ...]
TARGETS: Final = {
    "openai": (frozenset[str](), Ask("m")),
    "anthropic": (IGNORED, Ask("m")),
    "exo": (PEERS["C"].ignored, Ask("m", TRAITS["C"])),
}
ONLY_OPENAI: Final = ("/v1/completions", "/v1/embeddings", "/api/embed", "/api/embeddings")
"""What is asked for there is itself a demand that only a target of that dialect honours."""
UNKNOWN: Final = "x_unheard_of"


class Change(NamedTuple):
    name: str
    body: Json


def changes(body: Json) -> Iterator[Change]:
    """Give a body without each of its members, and with an unknown one in each of its objects."""
    yield Change(UNKNOWN, body | {UNKNOWN: "y"})
    for path, value, name in members(body, (), ""):
        yield Change(name, cast("Json", put(body, path)))
        if isinstance(value, dict):
            more = {**cast("Json", value), UNKNOWN: "y"}
            yield Change(f"{name}.{UNKNOWN}", cast("Json", put(body, path, more)))


def members(value: object, at: Path, name: str) -> Iterator[tuple[Path, object, str]]:
    """Give each member that says something, and each item, with its path.

    In a name the type of an item, or its role, stands in the place of its number.
    """
    for step, inner in steps(value):
        if inner in (None, [], {}, "", False):
            continue
        told = as_object(inner)
        kind = told.get("type") or told.get("role") or ""
        here = f"{name}[{kind}]" if isinstance(step, int) else f"{name}.{step}".removeprefix(".")
        yield (*at, step), inner, here
        yield from members(inner, (*at, step), here)


def steps(value: object) -> Iterable[tuple[str | int, object]]:
    return [*as_object(value).items(), *enumerate(as_list(value))]


def put(value: object, path: Path, new: object = None) -> object:
    """Return a value with another one, or nothing, at a path; the rest of it is shared."""
    step, *rest = path
    told = [
        (at, (put(each, tuple(rest), new) if rest else new) if at == step else each)
        for at, each in steps(value)
    ]
    left = [(at, each) for at, each in told if each is not None]
    return dict(left) if isinstance(value, dict) else [each for _, each in left]


def asked(request: ChatRequest, target: str) -> tuple[frozenset[str], bytes]:
    """Return what a target does not honour, so that it is not asked, and what it is asked."""
    ignored, ask = TARGETS[target]
    lost = request.demands & ignored
    lost = lost if request.dialect == target else lost | request.native_demands
    return lost, DIALECTS[target].encode(request, ask)


def silent(where: str) -> Iterator[tuple[str, str]]:
    """Give each member that may be there or not, and the target to which that is one."""
    targets = ("openai",) if where in ONLY_OPENAI else TARGETS
    for body in BODIES[where]:
        whole = OPERATIONS[where].read(msgspec.json.encode(body), {})
        told = {target: asked(whole, target) for target in targets}
        for change in changes(body):
            try:
                request = OPERATIONS[where].read(msgspec.json.encode(change.body), {})
            except BadRequestError as error:
                if UNKNOWN in change.name and UNKNOWN not in error.refusal.message:
                    yield change.name, "a refusal that does not name it"
                continue
            for target in targets:
                if asked(request, target) == told[target]:
                    yield change.name, target


@pytest.mark.parametrize("where", BODIES)
def test_no_member_is_dropped_in_silence(where: str) -> None:
    rows = [row for row in (*HARMLESS, *DEMANDED) if where.startswith(row.where)]
    found = list(dict.fromkeys(silent(where)))
    unexplained = [each for each in found if not any(row.fits(*each) for row in rows)]
    assert unexplained == []
    dropped = {name for name, _ in found}
    assert not dropped.intersection(name for row in DEMANDED for name in row.names)
    stale = {
        name for row in HARMLESS if row.where == where for name in row.names if name not in dropped
    }
    assert stale == set()
