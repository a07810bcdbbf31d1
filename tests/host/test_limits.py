"""The limit of open files rises to what is wanted or allowed, and never falls."""

import resource
from collections.abc import Iterator

import pytest

from exo_supervisor.host.limits import raise_file_limit


@pytest.fixture(autouse=True)
def hard() -> Iterator[int]:
    """Begin from a low soft limit; give the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_it_rises_to_what_is_wanted_and_never_falls() -> None:
    assert raise_file_limit(300) == 300
    assert raise_file_limit(250) == 300
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300


def test_it_stops_at_the_hard_limit(hard: int) -> None:
    if hard == resource.RLIM_INFINITY:
        pytest.skip("this machine sets no hard limit")
    assert raise_file_limit(hard + 1) == hard
