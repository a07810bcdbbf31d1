"""The mutator changes what decides, one thing at a time, and nothing else."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.__main__ import ALLOWED, draw, read_allowed, report
from tests.mutation.mutants import Mutant, changed, mutants
from tests.mutation.reach import IMPORT, Measured, Reach
from tests.mutation.room import ROOT, modules_of
from tests.mutation.trial import order

CODE = '''\
"""A text."""
from enum import Enum
LIMIT = 5
class Colour(Enum):
    RED = 1
class Hue:
    shade: int = field(default=2, init=False)
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
    trees = [changed(tmp_path / "module.py", each) for each in found]
    assert all(compile(each, "module.py", "exec") for each in trees)
    codes = {ast.unparse(each) for each in trees}
    assert len(codes) == len(found)
    assert ast.unparse(ast.parse(CODE)) not in codes


def test_what_decides_is_changed_and_settings_texts_and_types_are_not(tmp_path: Path) -> None:
    changes = {(each.line, each.what) for each in made(tmp_path)}
    assert changes == {
        (7, "2 became 3"), (7, "2 became 1"),
        (8, "3 became 4"), (8, "3 became 2"),
        (10, "the condition turned"), (10, "And became Or"), (10, "Lt became LtE"),
        (10, "Lt became GtE"), (10, "not went"),
        (11, "Add became Sub"), (11, "the statement went"), (11, "1 became 2"), (11, "1 became 0"),
        (12, "None was returned"), (12, "max became min"), (12, "7 became 8"), (12, "7 became 6"),
        (14, "1 became 2"), (14, "1 became 0"),
        (14, "the guard turned"), (14, "the guard went"), (15, "the statement went"),
    }  # fmt: skip


def test_a_mutant_decides_in_its_statement_and_not_in_the_block_below(tmp_path: Path) -> None:
    lines = {(each.first, each.last, each.at_import) for each in made(tmp_path) if each.line == 10}
    assert lines == {(10, 10, False)}
    assert [each.at_import for each in made(tmp_path) if each.line == 8] == [True, True]


ONE, TWO, THREE, FOUR = (
    Mutant("r.m", n, "x", "y", first=n, last=n, at_import=n == 4, place=n, turn=0)
    for n in (1, 2, 3, 4)
)


def test_the_report_counts_a_hang_as_noticed_and_the_allow_list_gives_reasons() -> None:
    verdicts = report({ONE: "killed", TWO: "unreached", THREE: "timeout"}, [FOUR])
    assert verdicts.splitlines()[-1].split() == ["all", "2", "1", "1", "1", "66.7%"]
    row = read_allowed("# a remark\n\nm | x = 1 | 2 | 1 became 2 | nobody sees it\n")
    assert row == {("m", "x = 1 | 2", "1 became 2"): "nobody sees it"}


def test_what_is_allowed_still_stands_in_the_code() -> None:
    allowed = read_allowed(ALLOWED.read_text(encoding="utf-8"))
    paths = modules_of(sorted({module for module, _, _ in allowed}))
    there = {
        (module, each.source, each.what)
        for module, path in paths.items()
        for each in mutants(path, module)
    }
    assert allowed.keys() - there == set()


def test_a_room_and_a_module_are_named_by_their_dotted_paths() -> None:
    assert {"wire.chat.judge"} == set(modules_of(["wire.chat.judge"]))
    rooms = {name.partition(".")[0] for name in modules_of(["wire", "http"])}
    assert rooms == {"wire", "http"}
    assert not modules_of(["wire.chat.jud"])


def test_a_draw_takes_of_each_module_by_its_size_and_can_be_repeated() -> None:
    drawn = draw("core.breakers", 20, 7)
    assert drawn == draw("core.breakers", 20, 7) != draw("core.breakers", 20, 8)
    assert len(set(drawn)) == 20
    assert {each.module for each in drawn} >= {"core.breakers.automaton", "core.breakers.table"}


def test_the_nearest_and_fastest_tests_of_a_line_come_first() -> None:
    far, near, slow = "tests/b/test_z.py::f", "tests/r/test_m.py::f", "tests/b/test_z.py::g"
    typed = "tests/r/test_m.py::t"
    lines = {"r.m": {1: [0, 1], 2: [1], 4: [IMPORT]}}
    here = Measured("", [(near, 0.01), (typed, 0.01)], {"r.m": {1: [0]}})
    files = {"tests/b/test_z.py": Measured("", [(far, 0.01), (slow, 900.0)], lines)}
    reach = Reach({}, files | {"tests/r/test_m.py": here})
    assert [test for test, _ in order(ONE, reach).tests] == [near, far]
    assert reach.tests(TWO) == {slow}
    assert not reach.tests(THREE)
    assert reach.tests(FOUR) == {far, near, slow, typed}, "its own test may read what it declares"
    assert [reach.runs_at_import(each) for each in (ONE, FOUR)] == [False, True]


WORLD = {
    "exo_supervisor/__init__.py": "",
    "exo_supervisor/room/__init__.py": "",
    "exo_supervisor/room/one.py": """\
def f(a):
    return a + 2
def g(a):
    return a - 1
def h(b=3):
    return b
TABLE = (g(2),)
""",
    "tests/room/test_one.py": """\
from exo_supervisor.room import one
def test_f(): assert one.f(2) == 4
def test_table(): assert (one.TABLE, one.h()) == ((1,), 3)
def test_broken(): assert one.f(2) == 5
""",
}


@pytest.mark.alone
def test_a_mutant_is_noticed_by_who_passes_without_it(tmp_path: Path) -> None:
    """In a world of its own: live functions, an import's work and a line that no test reaches."""
    for name, text in WORLD.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "tests/mutation", tmp_path / "tests/mutation")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    words = [sys.executable, "-m", "tests.mutation", "--module", "room"]
    home = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run(  # noqa: S603 - our own interpreter and words
        words, cwd=tmp_path, env=home, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1].split()[:4] == ["all", "14", "0", "0"]
    assert "test_broken fails without any mutant" in done.stderr
    room, tests = tmp_path / "exo_supervisor/room", tmp_path / "tests/room/test_one.py"
    (room / "one.py").rename(room / "two.py")
    tests.write_text(tests.read_text(encoding="utf-8").replace("import one", "import two as one"))
    again = subprocess.run(  # noqa: S603 - our own interpreter and words
        words, cwd=tmp_path, env=home, capture_output=True, text=True, check=True
    )
    assert again.stdout.splitlines()[1].split()[:4] == ["room.two", "14", "0", "0"]
