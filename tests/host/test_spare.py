"""Where the disk is full a small file has a place that was made before, and is read from there."""

import errno
import os
from pathlib import Path

import pytest

from exo_supervisor.host.kept import read_kept
from exo_supervisor.host.spare import SIZE, read_spare, write_with_spare


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "day_book.json"


def full(number: int = errno.ENOSPC) -> None:
    raise OSError(number, "no room")


def later(path: Path, seconds: int) -> None:
    """Let a file have been written so much later than it was."""
    at = path.stat().st_mtime_ns + seconds * 10**9
    os.utime(path, ns=(at, at))


def test_what_has_no_room_is_read_from_the_spare_one_until_there_is_room_again(path: Path) -> None:
    write_with_spare(path, b"one")
    assert read_spare(path) is None, "there is only room in it"
    spare = path.with_name("day_book.json.spare")
    blocks = spare.stat().st_blocks
    assert (spare.stat().st_size, spare.stat().st_mode & 0o777) == (SIZE, 0o600)
    for content in (b"number two", b"three"):
        write_with_spare(path, content, lambda _path, _content: full())
        later(spare, 1)
        assert (read_kept(path), read_spare(path)) == (b"one", content)
    assert (spare.stat().st_size, spare.stat().st_blocks) == (SIZE, blocks), "it takes no more"
    write_with_spare(path, b"four")
    later(path, 9)
    assert (read_kept(path), read_spare(path)) == (b"four", None)


@pytest.mark.parametrize(
    ("number", "content"), [(errno.EACCES, b"x"), (errno.ENOSPC, b"x" * (SIZE + 1))]
)
def test_what_is_no_want_of_room_or_too_large_is_a_fault(
    path: Path, number: int, content: bytes
) -> None:
    write_with_spare(path, b"one")
    with pytest.raises(OSError, match="no room"):
        write_with_spare(path, content, lambda _path, _content: full(number))


def test_without_a_spare_one_a_full_disk_is_a_fault_and_nothing_is_read(path: Path) -> None:
    with pytest.raises(OSError, match="no room"):
        write_with_spare(path, b"one", lambda _path, _content: full())
    assert read_spare(path) is None
