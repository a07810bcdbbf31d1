"""Who is at the other end of a Unix socket is known, on Linux and by the BSDs' way."""

import os
import socket
import struct

import pytest

from exo_supervisor.serve.peer import read_xucred, user_of

XUCRED = struct.Struct("=IIh2x16I")


def test_the_user_at_the_other_end_of_a_unix_socket_is_known() -> None:
    here, there = socket.socketpair(socket.AF_UNIX)
    with here, there:
        assert user_of(here) == os.geteuid()


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
        pytest.param(b"\0\0\0\0\1", None, id="cut"),
    ],
)
def test_a_peer_credential_of_the_bsds_is_read(raw: bytes, user: int | None) -> None:
    assert XUCRED.size == 76
    assert read_xucred(raw) == user
