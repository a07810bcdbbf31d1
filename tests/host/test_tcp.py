"""The loopback listener opens, or says why not."""

import socket

import pytest

from exo_supervisor.errors import StartError
from exo_supervisor.host.tcp import open_tcp
from tests.budget import EVER


@pytest.fixture
def place() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return "{}:{}".format(*free.getsockname())


def test_it_listens_where_it_was_told(place: str) -> None:
    with open_tcp(place) as opened:
        assert "{}:{}".format(*opened.getsockname()) == place
        assert not opened.getblocking()
        with socket.create_connection(opened.getsockname(), timeout=EVER):
            pass


def test_the_end_of_an_old_connection_does_not_keep_it_closed(place: str) -> None:
    with open_tcp(place) as opened:
        client = socket.create_connection(opened.getsockname(), timeout=EVER)
        opened.setblocking(True)  # noqa: FBT003 - the socket's own word
        served, _ = opened.accept()
        served.close()  # whoever closes first waits out the end
        client.close()
    open_tcp(place).close()


def test_a_place_that_is_taken_is_named_with_what_to_do(place: str) -> None:
    with (
        open_tcp(place),
        pytest.raises(StartError, match="in use; stop what listens there") as told,
    ):
        open_tcp(place)
    assert str(told.value).startswith(place)
