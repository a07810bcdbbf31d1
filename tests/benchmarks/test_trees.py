"""Which source is measured."""

import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.processes import ROOT
from tests.benchmarks.trees import Tree


def test_another_tree_runs_its_own_source_and_not_ours(tmp_path: Path) -> None:
    package = tmp_path / "exo_supervisor" / "cli"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def main(): print('before')")
    (package.parent / "__init__.py").touch()
    tree = Tree("before", tmp_path, Path(sys.executable))
    run = subprocess.run(  # noqa: S603 -- our own words
        tree.command("version"), cwd=ROOT, env=os.environ | tree.environ(tmp_path),
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert run.stdout == "before\n"
