"""Whether any test notices a mutant: each is tried in a fork of one process that is warm.

The parent collects a room's tests once. A child puts the mutant's code into the live functions of
its module and runs the tests that reach it, until one fails. A mutant that has done its work before
a test begins, as its module is imported, is tried in an interpreter of its own.
"""

import gc
import math
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Literal, NoReturn

import msgspec
import pytest
from msgspec import Struct

from tests.mutation.mutants import Mutant, changed
from tests.mutation.reach import Reach, own_tests
from tests.mutation.room import OPTIONS, PACKAGE, modules_of

Verdict = Literal["killed", "survived", "timeout", "unreached"]
ENOUGH = 15.0
"""CPU seconds of tests, as measured without a mutant, that it has to survive."""
GIGABYTES = 4


class Order(Struct):
    """What a child is to do: a mutant, and the tests it meets with the seconds of each."""

    mutant: Mutant
    tests: list[tuple[str, float]]
    fresh: bool


def order(mutant: Mutant, reach: Reach) -> Order:
    """Choose the tests that reach a mutant: the nearest and the fastest first."""
    seconds = reach.seconds()
    own = own_tests(mutant.module)
    near = own.rpartition("/")[0] + "/"

    def rank(test: str) -> tuple[int, str]:
        took = seconds[test]
        if test.startswith(near):
            took /= 30 if test.startswith(own) else 5
        return max(0, math.frexp(took / 0.002)[1]), test  # its file's others beside it

    chosen: list[tuple[str, float]] = []
    spent = 0.0
    for test in sorted(reach.tests(mutant), key=rank):
        if spent + seconds[test] <= ENOUGH:
            spent += seconds[test]
            chosen.append((test, seconds[test]))
    return Order(mutant, chosen, reach.runs_at_import(mutant))


def try_all(
    orders: list[Order], place: Path, *, workers: int, until: float
) -> dict[Mutant, Verdict]:
    """Try mutants until a time; those whose turn had not come by then are left out."""
    files = sorted({test.partition("::")[0] for each in orders for test, _ in each.tests})
    with _silence() as tell:
        loop = _Loop(orders, place, workers, until, tell)
        pytest.main([*OPTIONS, *files], plugins=[loop])
    return loop.verdicts


@contextmanager
def _silence() -> Generator[Callable[[str], None]]:
    """Keep what pytest prints, here and in every child, from the terminal."""
    sys.stdout.flush()
    out, err, nowhere = os.dup(1), os.dup(2), os.open(os.devnull, os.O_WRONLY)
    terminal = os.fdopen(os.dup(err), "w")
    try:
        for each in (1, 2):
            os.dup2(nowhere, each)
        yield partial(print, file=terminal, flush=True)
    finally:
        sys.stdout.flush()
        os.dup2(out, 1)
        os.dup2(err, 2)
        terminal.close()
        for each in (out, err, nowhere):
            os.close(each)


class _Loop:
    """A plugin that, instead of the collected tests, tries the mutants: each in a child."""

    def __init__(
        self,
        orders: list[Order],
        place: Path,
        workers: int,
        until: float,
        tell: Callable[[str], None],
    ) -> None:
        self._orders, self._place = orders, place
        self._workers, self._until, self._tell = workers, until, tell
        self.verdicts: dict[Mutant, Verdict] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        functions = _live_functions()
        gc.collect()
        gc.freeze()  # so that children write to fewer of the pages they share
        waiting = iter(self._orders)
        running: dict[int, Order] = {}
        while True:
            while len(running) < self._workers and (each := self._next(waiting)):
                if not (child := os.fork()):
                    _live_and_die(self._place, each, session, functions)
                running[child] = each
            if not running:
                return True
            child, status = os.wait()
            self._settle(running.pop(child), status)
            shutil.rmtree(self._place / str(child), ignore_errors=True)

    def _next(self, waiting: Iterator[Order]) -> Order | None:
        for each in waiting:
            if each.tests:
                return each if time.monotonic() < self._until else None
            self._note(each, "unreached")
        return None

    def _settle(self, order: Order, status: int) -> None:
        if os.WIFSIGNALED(status):
            self._tell(signal.Signals(os.WTERMSIG(status)).name)
            self._note(order, "timeout")
        elif (code := os.WEXITSTATUS(status)) in _VERDICTS:
            self._note(order, _VERDICTS[code])
        else:
            why = (self._place / "broken").read_text(encoding="utf-8")
            self._tell(f"the tool failed ({code})  {spell(order.mutant)}\n{why}")

    def _note(self, order: Order, verdict: Verdict) -> None:
        self.verdicts[order.mutant] = verdict
        if verdict != "killed":
            self._tell(f"{verdict} ({len(order.tests)} tests)  {spell(order.mutant)}")
        if len(self.verdicts) % 25 == 0:
            self._tell(f"{len(self.verdicts)} of {len(self._orders)} mutants")


def spell(mutant: Mutant) -> str:
    """Say where a mutant is and what it does."""
    return f"{mutant.module}:{mutant.line}  {mutant.what}  | {mutant.source}"


_KILLED, _SURVIVED, _BROKEN = 1, 0, 70
_VERDICTS: dict[int, Verdict] = {_KILLED: "killed", _SURVIVED: "survived"}
_Functions = dict[tuple[str, str, int], list[FunctionType]]


def _live_functions() -> _Functions:
    """Find every function of the package by its file, its name in there and its first line."""
    found: _Functions = {}
    gc.unfreeze()  # a frozen object is none of those that are listed
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and each.__code__.co_filename.startswith(str(PACKAGE)):
            found.setdefault(_key(each.__code__), []).append(each)
    return found


def _key(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _live_and_die(
    place: Path, order: Order, session: pytest.Session, functions: _Functions
) -> NoReturn:
    """Be the child: what it imports, changes and starts dies with it."""
    code = _BROKEN
    try:
        os.setpgid(0, 0)
        own = place / str(os.getpid())
        own.mkdir()
        os.environ["PYTEST_DEBUG_TEMPROOT"] = os.environ["TMPDIR"] = tempfile.tempdir = str(own)
        resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))
        if order.fresh or not _plant(order.mutant, functions):
            written = own / "order.json"
            written.write_bytes(msgspec.json.encode(order))
            os.execv(sys.executable, [sys.executable, "-m", "tests.mutation.trial", str(written)])  # noqa: S606 - our own words
        code = _meet(session, order)
    except BaseException:  # noqa: BLE001 - nothing may get out of the child but its code
        (place / "broken").write_text(traceback.format_exc(), encoding="utf-8")
    finally:
        os._exit(code)


def _plant(mutant: Mutant, functions: _Functions) -> bool:
    """Give the live functions the mutant's code; False if it does not fit into them."""
    changes = False
    codes = [*_codes(_compiled(mutant))]
    keys = Counter(map(_key, codes))
    for code in codes:
        for function in functions.get(_key(code), ()):
            if function.__code__ != code:
                if keys[_key(code)] > 1 or function.__code__.co_freevars != code.co_freevars:
                    return False
                function.__code__ = code
                changes = True
    return changes


def _compiled(mutant: Mutant) -> CodeType:
    path = modules_of([mutant.module])[mutant.module]
    return compile(changed(path, mutant), str(path), "exec", dont_inherit=True)


def _codes(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes(each)


def _meet(session: pytest.Session, order: Order) -> int:
    items = {item.nodeid: item for item in session.items}
    tests = [(items[test], took) for test, took in order.tests if test in items]
    following = [*(item for item, _ in tests[1:]), None]
    for (item, took), after in zip(tests, following, strict=True):
        # A test of real time may fail for the machine's sake: what counts does so twice.
        if all(_fails(session, item, after, took) for _ in range(2)):
            return _KILLED
    return _SURVIVED


def _fails(
    session: pytest.Session, item: pytest.Item, following: pytest.Item | None, took: float
) -> bool:
    signal.setitimer(signal.ITIMER_PROF, 5 + 10 * took)
    signal.setitimer(signal.ITIMER_REAL, 30 + 40 * took)  # it waits for what never comes
    before = session.testsfailed
    item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
    return session.testsfailed > before


class _Planted(MetaPathFinder, Loader):
    """Imports one module as the mutant has it."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname != f"exo_supervisor.{self._mutant.module}":
            return None
        return spec_from_loader(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        exec(_compiled(self._mutant), module.__dict__)  # noqa: S102 - our own code, changed


class _Once:
    """A plugin that meets one order, and ends the process with what came of it."""

    def __init__(self, order: Order) -> None:
        self._order = order

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        os._exit(_KILLED if session.testsfailed else _meet(session, self._order))


def main() -> int:
    """Try one order in this interpreter, which has imported nothing of ours yet."""
    order = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Order)
    sys.meta_path.insert(0, _Planted(order.mutant))
    signal.setitimer(signal.ITIMER_PROF, 60)
    files = sorted({test.partition("::")[0] for test, _ in order.tests})
    pytest.main([*OPTIONS, *files], plugins=[_Once(order)])
    return _KILLED  # it did not come to the tests


if __name__ == "__main__":
    sys.exit(main())
