"""A kept file is ours alone, written whole or not at all, and read back only if it is ours."""

import errno
import os
import stat
from pathlib import Path

import pytest

from exo_supervisor.host.kept import LARGEST, NotOursError, read_kept, write_kept

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_was_written_is_read_back_and_nobody_else_may(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "nodes.json"
    umask = os.umask(0)
    try:
        write_kept(path, b"one")
        write_kept(path, b"two")
    finally:
        os.umask(umask)
    assert read_kept(path) == b"two"
    assert mode_of(path) == 0o600
    assert [mode_of(each) for each in (path.parent, path.parent.parent)] == [0o700, 0o700]
    assert list(path.parent.iterdir()) == [path]


class Disk:
    """What `os.fsync` brought to the disk: content by inode, and the names in a directory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.content, self.names = set[int](), dict[int, set[str]]()
        self.refuses: int | None = None
        monkeypatch.setattr(os, "fsync", self._sync)

    def _sync(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if not stat.S_ISDIR(status.st_mode):
            self.content.add(status.st_ino)
            return
        if self.refuses is not None:
            raise OSError(self.refuses, os.strerror(self.refuses))
        self.names[status.st_ino] = set(os.listdir(descriptor))

    def holds(self, path: Path) -> bool:
        return path.name in self.names.get(path.parent.stat().st_ino, ())


def test_what_was_written_outlasts_a_loss_of_power_its_name_included(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, path = Disk(monkeypatch), tmp_path / "new" / "deep" / "nodes.json"
    write_kept(path, b"one")
    assert all(disk.holds(each) for each in (path, path.parent, path.parent.parent))
    disk.names.clear()
    write_kept(path, b"two")
    assert disk.holds(path)
    assert path.stat().st_ino in disk.content


def test_a_disk_that_fails_at_the_name_is_told_and_one_that_cannot_sync_names_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, path = Disk(monkeypatch), tmp_path / "nodes.json"
    for disk.refuses in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
        write_kept(path, b"one")
    disk.refuses = errno.EIO
    with pytest.raises(OSError, match="output error"):
        write_kept(path, b"two")


def test_what_is_not_there_is_nothing(tmp_path: Path) -> None:
    assert read_kept(tmp_path / "nodes.json") is None
    assert read_kept(Path("/dev/null/nodes.json")) is None


def test_a_link_in_its_place_is_not_followed_and_is_replaced(tmp_path: Path) -> None:
    path, other = tmp_path / "nodes.json", tmp_path / "other"
    other.write_bytes(b"theirs")
    path.symlink_to(other)
    with pytest.raises(OSError, match="symbolic"):
        read_kept(path)
    write_kept(path, b"ours")
    assert (read_kept(path), other.read_bytes()) == (b"ours", b"theirs")


def test_what_is_no_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "nodes.json")
    with pytest.raises(NotOursError, match="no regular file"):
        read_kept(tmp_path / "nodes.json")


def test_a_file_that_others_may_write_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "nodes.json"
    path.write_bytes(b"x")
    path.chmod(0o620)
    with pytest.raises(NotOursError, match="another user"):
        read_kept(path)


@needs_root
def test_a_file_of_another_user_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "nodes.json"
    write_kept(path, b"x")
    os.chown(path, 65_534, -1)
    with pytest.raises(NotOursError, match="another user"):
        read_kept(path)


def test_a_file_that_is_too_large_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "nodes.json"
    write_kept(path, b"x" * LARGEST)
    assert read_kept(path) == b"x" * LARGEST
    write_kept(path, b"x" * (LARGEST + 1))
    with pytest.raises(NotOursError, match="too large"):
        read_kept(path)


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "nodes.json"
    path.mkdir()
    (path / "old").write_bytes(b"")
    with pytest.raises(OSError, match="irectory"):
        write_kept(path, b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["nodes.json"]
