"""The mutator changes what decides, one thing at a time, and nothing else."""

import ast
from pathlib import Path

from tests.mutation.__main__ import read_allowed, report
from tests.mutation.mutants import Mutant, mutants

CODE = '''\
"""A text."""
from enum import Enum
LIMIT = 5
class Colour(Enum):
    RED = 1
def f(a: int, b: int = 3) -> int | None:
    """Another."""
    if a < b and not a:
        a += 1
        return max(a, 7)
    match a:
        case 1 if b:
            g()
    return None
'''


def made(tmp_path: Path) -> list[Mutant]:
    path = tmp_path / "module.py"
    path.write_text(CODE, encoding="utf-8")
    return mutants(path)


def test_each_mutant_differs_from_the_code_and_from_all_others(tmp_path: Path) -> None:
    found = made(tmp_path)
    codes = {each.code for each in found}
    assert len(codes) == len(found)
    assert ast.unparse(ast.parse(CODE)) not in codes


def test_what_decides_is_changed_and_settings_texts_and_types_are_not(tmp_path: Path) -> None:
    changes = {(each.line, each.what) for each in made(tmp_path)}
    assert changes == {
        (6, "3 became 4"), (6, "3 became 2"),
        (8, "the condition turned"), (8, "And became Or"), (8, "Lt became LtE"),
        (8, "Lt became GtE"), (8, "not went"),
        (9, "Add became Sub"), (9, "the statement went"), (9, "1 became 2"), (9, "1 became 0"),
        (10, "None was returned"), (10, "max became min"), (10, "7 became 8"), (10, "7 became 6"),
        (12, "1 became 2"), (12, "1 became 0"),
        (12, "the guard turned"), (12, "the guard went"), (13, "the statement went"),
    }  # fmt: skip


def test_the_report_counts_a_hang_as_noticed_and_the_allow_list_gives_reasons() -> None:
    one, two, three = (Mutant("m", n, "x", "y", str(n)) for n in range(3))
    last = report({one: "killed", two: "survived", three: "timeout"}).splitlines()[-1]
    assert last.split() == ["all", "2", "1", "66.7%"]
    row = read_allowed("# a remark\n\nm | x = 1 | 1 became 2 | nobody sees it\n")
    assert row == {("m", "x = 1", "1 became 2"): "nobody sees it"}
