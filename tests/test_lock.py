"""What the service is installed with is written down, whole, each file by its hash."""

import re
import tomllib
from pathlib import Path
from typing import cast

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.sbom import bill

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKED = {
    found[1]: found[2] for found in re.finditer(r"^([a-z0-9.-]+)==([\w.]+)", LOCK, re.MULTILINE)
}
WANTED = [Requirement(each) for each in PROJECT["project"]["dependencies"]]


def test_each_dependency_is_locked_within_its_bounds() -> None:
    builders = [Requirement(each) for each in PROJECT["build-system"]["requires"]]
    for each in (*WANTED, *builders):
        assert each.specifier.contains(LOCKED[canonicalize_name(each.name)]), each.name


def test_each_dependency_has_an_upper_bound() -> None:
    unbound = [each.name for each in WANTED if not any(s.operator == "<" for s in each.specifier)]
    assert unbound == []


def test_each_locked_version_has_hashes_and_no_place_is_named() -> None:
    entries = re.split(r"^(?=[a-z])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) == len(LOCKED)
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in LOCK
    assert "index" not in LOCK


def test_the_bill_of_materials_names_all_that_is_locked() -> None:
    listed = cast("list[dict[str, str]]", bill()["components"])
    assert {each["name"]: each["version"] for each in listed} == LOCKED
    assert all(each["hashes"] for each in listed)
