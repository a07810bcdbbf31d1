"""Who is at the other end of a Unix socket is known, on Linux and by the BSDs' way."""

import os
import socket
import struct
import sys

import pytest

from exo_supervisor.http.peer import bytes_wait, groups_of, has_left, read_xucred, user_of
from tests.http.serve import pair

XUCRED = struct.Struct("=IIh2x16I")


def test_the_user_at_the_other_end_of_a_unix_socket_is_known() -> None:
    here, there = socket.socketpair(socket.AF_UNIX)
    with here, there:
        assert user_of(here) == os.geteuid()


@pytest.mark.skipif(sys.platform != "linux", reason="nobody else tells all of them")
def test_the_groups_of_whoever_connected_are_known_and_of_nobody_else() -> None:
    here, there = socket.socketpair(socket.AF_UNIX)
    with here, there:
        assert groups_of(here) == {os.getegid(), *os.getgroups()}
    assert groups_of(here) == frozenset()
    if os.geteuid() == 0:  # whose group has the number of its user
        os.setegid(54_321)
        try:
            here, there = socket.socketpair(socket.AF_UNIX)
        finally:
            os.setegid(0)
        with here, there:
            assert groups_of(here) == {54_321, *os.getgroups()}
    near, far = pair(socket.AF_INET)
    with near, far:
        assert groups_of(near) == frozenset()


def test_of_tcp_and_of_one_that_is_gone_nobody_knows() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
        assert user_of(tcp) is None
    gone, other = socket.socketpair(socket.AF_UNIX)
    with other:
        gone.close()
        assert user_of(gone) is None


@pytest.mark.parametrize(
    ("raw", "user"),
    [
        pytest.param(XUCRED.pack(0, 501, 2, 20, 12, *([0] * 14)), 501, id="as macOS gives it"),
        pytest.param(XUCRED.pack(1, 501, 1, *([0] * 16)), None, id="another version"),
        pytest.param(XUCRED.pack(0, 501, 0, *([0] * 16))[:8], 501, id="no groups"),
        pytest.param(b"\0\0\0\0\1", None, id="cut"),
    ],
)
def test_a_peer_credential_of_the_bsds_is_read(raw: bytes, user: int | None) -> None:
    assert XUCRED.size == 76
    assert read_xucred(raw) == user


@pytest.mark.parametrize("half", [True, False])
def test_a_half_close_is_a_leave_on_tcp_alone(*, half: bool) -> None:
    for family in (socket.AF_UNIX, socket.AF_INET):
        here, there = pair(family)
        with here, there:
            assert not has_left(here)
            assert not bytes_wait(here)
            if half:
                there.shutdown(socket.SHUT_WR)
            else:
                there.close()
            assert bytes_wait(here), "an end is something to read"
            assert has_left(here) == (family == socket.AF_INET or not half)


def test_bytes_that_wait_are_no_leave() -> None:
    for family in (socket.AF_UNIX, socket.AF_INET):
        here, there = pair(family)
        with here, there:
            there.send(b"x")
            assert (bytes_wait(here), has_left(here)) == (True, False)
