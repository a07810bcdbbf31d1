"""The small client reads an answer however it was cut, and says honestly what is no answer."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.client.errors import AnswerError, CutError, NoAnswerError, RefusedError
from exo_supervisor.client.http import MAX_HEAD_BYTES, Response, connect, request, send

GET = request("GET", "/supervisor/status")
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Request-Id: 7\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2;of=two\r\nhe\r\n0003\r\nllo\r\n0\r\nX-Trailer: 1\r\n\r\n"
)
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\na: b\r\n\r\n" + PLAIN
ENDLESS = b"HTTP/1.0 200 OK\r\n\r\nhello"


def read(*parts: bytes) -> tuple[Response, bytes]:
    response = Response()
    return response, b"".join(response.feed(part) for part in parts)


@given(st.sampled_from([PLAIN, CHUNKED, INTERIM]), st.lists(st.integers(0, 200)))
def test_an_answer_is_the_same_at_every_cut(raw: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    response, body = read(*(raw[a:b] for a, b in pairwise(places)))
    assert (response.status, body, response.ended, response.surplus) == (200, b"hello", True, b"")
    response.close()


@given(st.sampled_from([PLAIN, CHUNKED]), st.integers(0, 200))
def test_an_answer_that_ends_early_is_never_whole(raw: bytes, end: int) -> None:
    response, _ = read(raw[: min(end, len(raw) - 1)])
    assert not response.ended
    with pytest.raises(CutError if response.status else NoAnswerError):
        response.close()


def test_numbers_of_any_length_are_read_or_refused() -> None:
    zeros = b"0" * 4_400
    response, body = read(PLAIN.replace(b"length: 5", b"length: %b5" % zeros))
    assert (body, response.ended) == (b"hello", True)
    with pytest.raises(NoAnswerError):
        read(PLAIN.replace(b"200", b"2" * 4_400))


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    response, body = read(ENDLESS)
    assert (body, response.ended) == (b"hello", False)
    response.close()
    assert response.ended


def test_names_of_headers_are_in_lower_case_and_what_stands_behind_is_no_part_of_it() -> None:
    response, body = read(PLAIN + b"more")
    assert (response.headers["x-request-id"], body, response.surplus) == ("7", b"hello", b"more")


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"SSH-2.0-x\r\n\r\n", NoAnswerError),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", NoAnswerError),
        (b"HTTP/1.1 200 OK\r\na: " + b"b" * MAX_HEAD_BYTES, NoAnswerError),
        (CHUNKED.replace(b"2;of=two", b"two"), CutError),
        (CHUNKED.replace(b"2;of=two", b"+2"), CutError),
        (CHUNKED.replace(b"2;of=two", b""), CutError),
        (CHUNKED.replace(b"0003", b"2"), CutError),
        (CHUNKED.partition(b"2;")[0] + b"1" * (MAX_HEAD_BYTES + 1), CutError),
    ],
)
def test_what_is_no_http_is_told(raw: bytes, error: type[AnswerError]) -> None:
    with pytest.raises(error):
        read(raw)


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/a b", {}), ("/a\r\nb", {}), ("/", {"a": "b\r\nc: d"}), ("/\xe9", {}), ("/", {"a": "\xe9"})],
)
def test_a_request_that_would_be_another_is_not_written(path: str, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - two kinds of it
        request("GET", path, headers=headers)


Serve = Callable[[Callable[[socket.socket], object]], socket.socket]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve one connection by a function, and return the client's end of it."""
    threads: list[Thread] = []

    def start(answer: Callable[[socket.socket], object]) -> socket.socket:
        near, far = socket.socketpair()

        def run() -> None:
            with closing(far):
                answer(far)

        threads.append(Thread(target=run))
        threads[-1].start()
        return near

    yield start
    for thread in threads:
        thread.join()


@pytest.mark.real_time
@pytest.mark.parametrize("raw", [PLAIN, CHUNKED, INTERIM, ENDLESS])
def test_a_whole_answer_is_read(serve: Serve, raw: bytes) -> None:
    def answer(far: socket.socket) -> None:
        assert far.recv(65536) == GET
        far.sendall(raw)

    with closing(send(serve(answer), GET, timeout=60)) as got:
        assert got.whole() == b"hello"


@pytest.mark.real_time
def test_who_refuses_before_the_request_is_read_is_heard(serve: Serve) -> None:
    body = b'{"error": {"message": "too large", "code": "body_too_large"}}'
    head = b"HTTP/1.1 413 No\r\nRetry-After: 3\r\nContent-Length: %d\r\n\r\n" % len(body)

    def answer(far: socket.socket) -> None:
        far.sendall(head + body)
        far.shutdown(socket.SHUT_RD)

    with pytest.raises(RefusedError) as refused:
        send(serve(answer), request("POST", "/", b"x" * 16 * 1024 * 1024), timeout=60)
    error = refused.value
    assert (error.status, error.message, error.code) == (413, "too large", "body_too_large")
    assert (error.retry_after, error.body) == ("3", body)


@pytest.mark.real_time
def test_an_answer_that_breaks_off_is_cut(serve: Serve) -> None:
    def answer(far: socket.socket) -> None:
        assert far.recv(65536) == GET
        far.sendall(PLAIN[:-2])

    got = send(serve(answer), GET, timeout=60)
    with closing(got), pytest.raises(CutError, match="2 bytes are missing"):
        got.whole()


@pytest.mark.real_time
def test_time_bounds_the_whole_answer_and_not_each_byte(serve: Serve) -> None:
    """One who sends a byte now and then is given up, too: the bound is over before the second."""
    asked: list[bytes] = []
    near = serve(lambda far: asked.append(far.recv(65536) and far.recv(1)))
    with pytest.raises(NoAnswerError, match="no answer in time"):
        send(near, GET, timeout=0)
    assert near.fileno() == -1, "who gives up hangs up"


@pytest.mark.real_time
def test_a_closed_connection_is_no_answer(serve: Serve) -> None:
    with pytest.raises(NoAnswerError, match="the connection was closed"):
        send(serve(lambda far: far.recv(65536)), GET, timeout=60)


@pytest.mark.real_time
def test_it_connects_over_tcp_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        connect(address, 60.0).close()
    with pytest.raises(ConnectionRefusedError):
        connect(address, 60.0)
