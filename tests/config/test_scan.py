"""The scan finds every value of a TOML text, and none at a wrong place."""

import tomllib
from typing import cast

from hypothesis import example, given
from hypothesis import strategies as st

from exo_supervisor.config.scan import Path, Spans

keys = st.sampled_from(["a", "b-1", '"q d"', "'l.t'", '"\\u00e9"'])
SCALARS = (
    "1", "-2.5e3", "true", "inf", '"x # ]\\""', "'y, }'", "07:32:00", "1979-05-27 07:32:00Z",
    '"""m\n"" \\""" """""', "'''k\n'' '''''",
)  # fmt: skip
scalars = st.sampled_from(SCALARS)
voids = st.sampled_from(["", " ", "\t"])
gaps = st.sampled_from(["", " ", "\n", " # ], }\n"])


def listed(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.tuples(gaps, items, gaps), max_size=3).map(
        lambda parts: "[" + ",".join(a + item + b for a, item, b in parts) + "]"
    )


def inlined(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.tuples(voids, keys, voids, items), max_size=3).map(
        lambda parts: "{" + ",".join(f"{a}{key}.z{b}={v} " for a, key, b, v in parts) + "}"
    )


tree = st.recursive(scalars, lambda items: listed(items) | inlined(items), max_leaves=6)
parts = st.lists(keys, min_size=1, max_size=3)
single = parts.map(lambda names: f"[{' . '.join(names)}]")
double = parts.map(lambda names: f"[[{'.'.join(names)}]]")
assignments = st.tuples(parts, voids, tree).map(
    lambda made: f"{'.'.join(made[0])}{made[1]}={made[1]}{made[2]}"
)
statements = single | double | assignments


def leaves(value: object, path: Path = ()) -> dict[Path, object]:
    """Each value that is no table, with its path."""
    found: dict[Path, object] = {}
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        items = list(cast("dict[str | int, object]", value).items())
    elif isinstance(value, list):
        found[path] = cast("object", value)
        items = list(enumerate(cast("list[object]", value)))
    else:
        found[path] = value
    for part, item in items:
        found |= leaves(item, (*path, part))
    return found


@example([f"k{index} = [{text}, {text}]" for index, text in enumerate(SCALARS)])
@example(["[[a]]", "x = 1", "[a.b]", "y = 2", "[[a]]", "x.z = 3", "[[a.c]]", "[a.c.d]", "y = 4"])
@given(st.lists(statements, max_size=6))
def test_every_value_is_found_and_none_at_a_wrong_place(lines: list[str]) -> None:
    """What stands at each place reads back as the value there, by tomllib's own reading."""
    text = ""
    tables: dict[str, object] = {}
    for line in lines:  # keep the statements that may stand together
        try:
            tables = tomllib.loads(f"{text}{line} # end\n")
        except tomllib.TOMLDecodeError:
            continue
        text = f"{text}{line} # end\n"
    expected = leaves(tables)
    found = dict(Spans(text).values())
    for path, raw in found.items():
        assert path not in expected or tomllib.loads(f"x = {raw}")["x"] == expected[path]
    missing = expected.keys() - found.keys()
    assert all(isinstance(expected[path], list) for path in missing)  # those written with [[ ]]


def test_a_text_that_cannot_be_followed_has_no_places() -> None:
    spans = Spans("a = 1\nb ? 2\n")
    assert spans.key(("a",)) is None
    assert spans.value(("a",)) is None
