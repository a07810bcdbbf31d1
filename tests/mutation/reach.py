"""Which tests reach which line of a room: measured once under coverage, and kept.

A test file that changed is measured anew, and all where a module came or went; where the code of
one changed, the kept lines move along. What only helpers of tests or other rooms changed is not
noticed: `--anew` measures everything again.
"""

import hashlib
import sys
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator
from difflib import SequenceMatcher
from pathlib import Path
from subprocess import DEVNULL, run
from time import process_time

import coverage
import msgspec
import pytest
from msgspec import Struct

from tests.mutation.mutants import Mutant
from tests.mutation.room import OPTIONS, PACKAGE, ROOT, modules_of, tests_of

Lines = dict[str, dict[int, list[int]]]
"""Per module and line, the tests that reach it, as places in a list of tests."""

KEPT = Path.home() / ".cache/exo-supervisor-mutation"
IMPORT = -1
"""Stands among a line's tests where it also runs as its module is imported."""


class Measured(Struct):
    """What one test file does: the CPU seconds of each of its tests, and the lines they reach."""

    digest: str
    tests: list[tuple[str, float]]
    lines: Lines


class Reach(Struct):
    """What the tests of a room reach in its modules, whose text was `sources` then."""

    sources: dict[str, str] = {}
    files: dict[str, Measured] = {}

    def seconds(self) -> dict[str, float]:
        return {test: took for file in self.files.values() for test, took in file.tests}

    def tests(self, mutant: Mutant) -> set[str]:
        """Name the tests that run a mutant's statement; all of its module's if an import does."""
        imported = self.runs_at_import(mutant)
        found: set[str] = set()
        for name, file in self.files.items():
            if imported and name == own_tests(mutant.module):  # a type is read by no line of it
                found.update(test for test, _ in file.tests)
            lines = file.lines.get(mutant.module, {})
            for line, reached in lines.items():
                if imported or mutant.first <= line <= mutant.last:
                    found.update(file.tests[each][0] for each in reached if each != IMPORT)
        if imported and not found:
            return set(self.seconds())
        return found

    def runs_at_import(self, mutant: Mutant) -> bool:
        """Tell whether a mutant has done its work before any test begins."""
        return mutant.at_import or any(
            IMPORT in file.lines.get(mutant.module, {}).get(line, ())
            for file in self.files.values()
            for line in range(mutant.first, mutant.last + 1)
        )


def own_tests(module: str) -> str:
    """Name the test file that stands for a module."""
    *folders, name = module.split(".")
    return "/".join(["tests", *folders, f"test_{name}.py"])


def reach_of(room: str, *, anew: bool = False) -> Reach:
    """Read what is kept of a room, and measure what changed since."""
    kept = KEPT / hashlib.sha256(str(ROOT).encode()).hexdigest()[:12] / f"{room}.msgpack"
    reach = Reach()
    if kept.exists() and not anew:
        reach = msgspec.msgpack.decode(kept.read_bytes(), type=Reach)
    sources = {name: path.read_text(encoding="utf-8") for name, path in modules_of([room]).items()}
    if reach.sources.keys() != sources.keys():  # of a new module nobody knows whose tests reach it
        reach = Reach()
    for module, text in reach.sources.items():
        if text != sources[module]:
            for file in reach.files.values():
                file.lines[module] = _moved(file.lines.get(module, {}), text, sources[module])
    reach.sources = sources
    digests = {str(path.relative_to(ROOT)): _digest(path) for path in tests_of(room)}
    reach.files = {
        file: measured
        for file, measured in reach.files.items()
        if measured.digest == digests.get(file)
    }
    if stale := [file for file in digests if file not in reach.files]:
        kept.parent.mkdir(parents=True, exist_ok=True)
        for file, measured in _measure_apart(room, stale, kept.with_suffix(".new")).items():
            reach.files[file] = msgspec.structs.replace(measured, digest=digests[file])
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(msgspec.msgpack.encode(reach))
    return reach


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _moved(lines: dict[int, list[int]], was: str, now: str) -> dict[int, list[int]]:
    """Give each line's tests to where it stands now, and to a new one those of its neighbours."""
    moved: defaultdict[int, set[int]] = defaultdict(set)
    matcher = SequenceMatcher(None, was.splitlines(), now.splitlines(), autojunk=False)
    for same, a, b, c, d in matcher.get_opcodes():
        for new in range(c, d):
            old = range(a + new - c, a + new - c + 1) if same == "equal" else range(a - 1, b + 1)
            for each in old:
                moved[new + 1].update(lines.get(each + 1, ()))
    return {line: sorted(tests) for line, tests in moved.items() if tests}


def _measure_apart(room: str, files: list[str], result: Path) -> dict[str, Measured]:
    """Measure in a process that has imported nothing of ours yet."""
    words = [sys.executable, "-m", "tests.mutation.reach", room, str(result), *files]
    run(words, cwd=ROOT, check=True, stdout=DEVNULL)  # noqa: S603 - our own words
    measured = msgspec.msgpack.decode(result.read_bytes(), type=dict[str, Measured])
    result.unlink()
    return measured


class _Watch:
    """A plugin that names the test which runs to coverage, and notes what each costs.

    A test that fails although there is no mutant can notice none: it is named and left out.
    """

    def __init__(self, measurer: coverage.Coverage) -> None:
        self._measurer = measurer
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._measurer.switch_context(item.nodeid)
        began = process_time()  # whatever else the machine does
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = process_time() - began
            self._measurer.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)
            sys.stderr.write(f"{report.nodeid} fails without any mutant: left out\n")


def _measure(room: str, files: Iterable[str]) -> dict[str, Measured]:
    measurer = coverage.Coverage(
        data_file=None, config_file=False, include=[str(PACKAGE / room / "*")]
    )
    watch = _Watch(measurer)
    measurer.start()
    pytest.main([*OPTIONS, *files], plugins=[watch])
    measurer.stop()
    found = {file: Measured("", [], {}) for file in files}
    places: dict[str, int] = {}
    for test, took in watch.seconds.items():
        if test in watch.failed:
            continue
        tests = found[test.partition("::")[0]].tests
        places[test] = len(tests)
        tests.append((test, took))
    data = measurer.get_data()
    for module, path in modules_of([room]).items():
        for line, tests in data.contexts_by_lineno(str(path)).items():
            for file, place in _reached(found, places, tests):
                found[file].lines.setdefault(module, {}).setdefault(line, []).append(place)
    return found


def _reached(
    found: dict[str, Measured], places: dict[str, int], tests: list[str]
) -> Iterator[tuple[str, int]]:
    for test in tests:
        if not test:
            yield from ((file, IMPORT) for file in found)
        elif test in places:
            yield test.partition("::")[0], places[test]


def main() -> int:
    """Measure test files of a room, and write what was found where it was asked for."""
    _, room, result, *files = sys.argv
    Path(result).write_bytes(msgspec.msgpack.encode(_measure(room, files)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
