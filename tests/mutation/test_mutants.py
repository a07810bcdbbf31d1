"""The mutator changes what decides, one thing at a time, and nothing else."""

import ast
from pathlib import Path

from tests.mutation.__main__ import ROOT, named, read_allowed, report
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.trial import HOURS, SEEDS, Bench, files_for

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


def test_a_room_and_a_module_are_named_by_their_dotted_paths() -> None:
    assert {"wire.chat.judge"} == set(named(["wire.chat.judge"]))
    rooms = {name.partition(".")[0] for name in named(["wire", "http"])}
    assert rooms == {"wire", "http"}
    assert not named(["wire.chat.jud"])


def test_a_module_meets_its_own_tests_first_and_the_simulation_at_the_very_end() -> None:
    tests = ROOT / "tests"
    wire = files_for(tests, "wire.openai.template")
    assert wire[0] == str(tests / "wire/openai/test_template.py")
    assert all("/wire/openai/" in each for each in wire[:3])
    assert any("/wire/exo/" in each for each in wire)
    core = files_for(tests, "core.breakers.table")
    assert core[0] == str(tests / "core/breakers/test_table.py")
    assert core[-1].endswith(f"test_simulation.py::{HOURS}[{SEEDS - 1}]")


def test_tests_that_fail_without_a_mutant_are_told_from_such_that_notice_one(
    tmp_path: Path,
) -> None:
    root, place = tmp_path / "root", tmp_path / "bench"
    (root / "exo_supervisor/room").mkdir(parents=True)
    (root / "tests/room").mkdir(parents=True)
    (root / "tests/recordings").mkdir()
    (root / "pyproject.toml").write_text("")
    (root / "exo_supervisor/__init__.py").write_text("")
    (root / "exo_supervisor/room/__init__.py").write_text("")
    (root / "exo_supervisor/room/one.py").write_text("def f(a):\n    return a + 2\n")
    (root / "tests/room/test_one.py").write_text(
        "from exo_supervisor.room.one import f\ndef test_f(): assert f(2) == 4\n"
    )
    place.mkdir()
    bench = Bench(root, place, patience=60.0)
    assert bench.attempt(None, "room") == "survived"
    one, *_ = mutants(root / "exo_supervisor/room/one.py", "room.one")
    assert bench.attempt(one, one.module) == "killed"
    (place / "tests/room/test_one.py").write_text("def test_f(): assert False\n")
    assert bench.attempt(None, "room") == "killed"
