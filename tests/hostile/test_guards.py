"""Each guard of privacy stands where it is taken out, and its tests notice that it is gone."""

import pytest

from tests.hostile.guards import GUARDS, ROOT, Guard, noticed

NAMES = [guard.what for guard in GUARDS]


@pytest.mark.parametrize("guard", GUARDS, ids=NAMES)
def test_it_stands_in_one_place(guard: Guard) -> None:
    assert (ROOT / guard.file).read_text(encoding="utf-8").count(guard.stands) == 1
    assert (ROOT / guard.tests).exists()


@pytest.mark.alone
@pytest.mark.parametrize("guard", GUARDS, ids=NAMES)
def test_its_tests_notice_that_it_is_gone(guard: Guard) -> None:
    assert noticed(guard)
