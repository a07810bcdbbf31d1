"""Where the disk is full a small file has a place that was made before, and is read from there."""

import errno
import os
from pathlib import Path

import pytest

from exo_supervisor.host.kept import LARGEST, read_kept, write_kept
from exo_supervisor.host.reserve_file import SIZE, reserve_of, write_with_reserve


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "day_book.json"


def full(number: int = errno.ENOSPC) -> None:
    raise OSError(number, "no room")


def held(path: Path) -> bytes:
    """Return what the reserve holds."""
    return (read_kept(reserve_of(path)) or b"none").rstrip()


def test_what_has_no_room_is_in_the_reserve_until_there_is_room_again(path: Path) -> None:
    """Whatever the clock says: the next write that succeeds blanks it."""
    write_with_reserve(path, b"one")
    reserve = reserve_of(path)
    assert held(path) == b"", "there is only room in it"
    status = reserve.stat()
    assert (status.st_size, status.st_mode & 0o777) == (SIZE, 0o600)
    for content in (b"number two", b"three"):
        write_with_reserve(path, content, lambda _path, _content: full())
        assert (read_kept(path), held(path)) == (b"one", content)
    after = reserve.stat()
    assert (after.st_size, after.st_ino) == (SIZE, status.st_ino), "it takes no more"
    for moved in (-9, 9):
        at = path.stat().st_mtime_ns + moved * 10**9
        os.utime(reserve, ns=(at, at))
        write_with_reserve(path, b"four")
        assert (read_kept(path), held(path)) == (b"four", b"")


def test_all_that_is_read_back_has_room(path: Path) -> None:
    write_with_reserve(path, b"one")
    write_with_reserve(path, b"x" * LARGEST, lambda _path, _content: full())
    assert held(path) == b"x" * LARGEST


@pytest.mark.parametrize(
    ("number", "content"), [(errno.EACCES, b"x"), (errno.ENOSPC, b"x" * (SIZE + 1))]
)
def test_what_is_no_want_of_room_or_too_large_is_a_fault(
    path: Path, number: int, content: bytes
) -> None:
    write_with_reserve(path, b"one")
    with pytest.raises(OSError, match="no room"):
        write_with_reserve(path, content, lambda _path, _content: full(number))


def test_without_a_reserve_a_full_disk_is_a_fault_and_nothing_is_read(path: Path) -> None:
    with pytest.raises(OSError, match="no room"):
        write_with_reserve(path, b"one", lambda _path, _content: full())
    assert held(path) == b"none"


def test_a_reserve_that_somebody_else_may_write_is_left_as_it_is(path: Path) -> None:
    write_kept(reserve_of(path), b"theirs")
    reserve_of(path).chmod(0o666)
    write_with_reserve(path, b"one")
    assert (read_kept(path), reserve_of(path).read_bytes()) == (b"one", b"theirs")
