"""A request under way can be paused, left and given up at any moment, and only by its sender."""

import asyncio
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketStream

from exo_supervisor.http.ask import Bounds, TooLongError, ask
from exo_supervisor.http.call import Call
from exo_supervisor.http.client import Client
from exo_supervisor.http.connection import LEAVE_BYTES
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage
from exo_supervisor.http.intake import Intake
from exo_supervisor.http.resolver import IpAddress
from exo_supervisor.http.state import State
from tests.http.serving import HEAD, Server, Talker, serving
from tests.http.wire import KEY, Heard, Wired

FOREVER = 100.0
ASK = b"GET / HTTP/1.1\r\n\r\n"
WHOLE = HEAD + b"5\r\n\r\nhello"


def called(wired: Wired, heard: Heard | None = None) -> Call:
    call = Call(heard or Heard(), KEY, ASK, b"", None)
    call.send(wired.connection)
    return call


# -------------------------------------------------------------------- over a transport by hand


def test_a_call_acts_on_its_connection_while_that_brings_its_answer() -> None:
    with Wired() as wired:
        call = called(wired)
        assert repr(call) == "<Call http://n:1 <Connection http://n:1 READING, 1 requests>>"
        call.pause_reading()
        call.resume_reading()
        assert wired.transport.done == ["pause", "resume"]
        wired.connection.data_received(WHOLE)
        other = called(wired)
        assert repr(call) == "<Call http://n:1 None>"
        for act in (call.pause_reading, call.resume_reading, call.leave, call.close):
            act()
        assert wired.connection.state is State.READING
        other.close()
        assert wired.connection.state is State.CLOSED
        assert wired.transport.done == ["pause", "resume", "abort"]


def test_one_that_was_given_up_before_it_was_sent_sends_nothing() -> None:
    for give_up in (Call.leave, Call.close):
        with Wired() as wired:
            call = Call(Heard(), KEY, ASK, b"", None)
            give_up(call)
            call.send(wired.connection)
            assert (wired.transport.sent, wired.connection.state) == (b"", State.CLOSED)


def test_one_that_failed_is_over_and_tells_so_once() -> None:
    heard = Heard()
    call = Call(heard, KEY, ASK, b"", None)
    for _ in range(2):
        call.fail(HttpError(NetworkFault.DNS, Stage.CONNECT))
    assert (heard.calls, call.is_over) == (["lost"], True)


def test_one_that_was_paused_before_it_was_sent_is_paused_when_it_is() -> None:
    with Wired() as wired:
        call = Call(Heard(), KEY, ASK, b"", None)
        call.pause_reading()
        call.send(wired.connection)
        assert wired.transport.done == ["pause"]


def test_only_a_connection_that_was_kept_and_said_nothing_is_tried_again() -> None:
    with Wired() as wired:  # a fresh one
        heard = Heard()
        called(wired, heard)
        wired.connection.eof_received()
        assert (heard.calls, wired.resent) == (["lost"], [])
    for begun in (b"", b"H"):
        with Wired() as wired:
            called(wired)
            wired.connection.data_received(WHOLE)
            heard = Heard()
            call = called(wired, heard)
            if begun:
                wired.connection.data_received(begun)
            wired.connection.eof_received()
            assert (heard.calls, wired.resent) == ((["lost"], []) if begun else ([], [call]))


def test_what_was_sent_is_let_go_of_once_its_answer_has_begun() -> None:
    with Wired() as wired:
        call = Call(Heard(), KEY, ASK, b"a long prompt", None)
        call.send(wired.connection)
        wired.connection.data_received(WHOLE[:9])
        assert call.body == b"a long prompt"
        wired.connection.data_received(WHOLE[9:-1])
        assert call.body == b""
        assert (wired.transport.sent, call.sent) == (ASK + b"a long prompt", 31)


def test_a_kept_connection_that_speaks_no_http_is_not_tried_again() -> None:
    with Wired() as wired:
        called(wired)
        wired.connection.data_received(WHOLE)
        heard = Heard()
        called(wired, heard)
        wired.connection.data_received(b"junk\r\n")
        assert (heard.calls, wired.resent) == (["lost"], [])


def test_one_that_fails_after_it_was_given_up_tells_nobody() -> None:
    heard = Heard()
    call = Call(heard, KEY, ASK, b"", None)
    call.close()
    call.fail(HttpError(NetworkFault.DNS, Stage.CONNECT))
    assert heard.calls == []


async def left(wired: Wired) -> None:
    heard = Heard()
    call = called(wired, heard)
    wired.connection.data_received(WHOLE[:-2])
    wired.connection.pause_reading()
    call.leave()
    call.leave()
    assert heard.calls == ["head", "data"]
    assert wired.transport.done == ["pause", "resume"], "it reads its end by itself"


@pytest.mark.real_time
async def test_a_body_that_is_left_ends_by_itself() -> None:
    with Wired() as wired:
        await left(wired)
        wired.connection.data_received(WHOLE[-2:])
        assert (wired.connection.state, wired.rests) == (State.IDLE, 1)
        await anyio.sleep(0.3)
        assert wired.connection.state is State.IDLE, "its timer is gone"


@pytest.mark.real_time
@pytest.mark.parametrize("how", ["late", "lost", "broken"])
async def test_a_body_that_is_left_and_does_not_end_well_closes(how: str) -> None:
    with Wired() as wired:
        await left(wired)
        if how == "late":
            while wired.connection.state is State.LEAVING:  # noqa: ASYNC110 -- for a fifth of a second
                await anyio.sleep(0.01)
        elif how == "lost":
            wired.connection.eof_received()
        else:
            wired.connection.data_received(WHOLE[-2:] + b"junk")
        assert (wired.connection.state, wired.rests, wired.ends) == (State.CLOSED, 0, 1)


@pytest.mark.real_time
async def test_a_body_that_is_left_may_bring_only_so_much() -> None:
    with Wired() as wired:
        call = called(wired)
        wired.connection.data_received(HEAD + b"10000000\r\n\r\n")
        call.leave()
        wired.connection.data_received(b"x" * LEAVE_BYTES)
        assert wired.connection.state is State.LEAVING
        wired.connection.data_received(b"x")
        assert wired.connection.state is State.CLOSED


# -------------------------------------------------------------------- over real sockets


@pytest.mark.real_time
async def test_nothing_is_told_before_send_returns() -> None:
    """Whatever is wrong; what cannot even be tried included."""
    async with Client(idle=3.0) as client:
        for method, url in (("GET", "ftp://x/"), ("TRACE", "http://127.0.0.1:1/")):
            heard = Heard()
            client.send(heard, method, url)
            assert heard.calls == []
            await anyio.wait_all_tasks_blocked()
            assert heard.error is not None
            assert heard.error.fault is NetworkFault.BAD_URL
    heard = Heard()
    client.send(heard, "GET", "http://127.0.0.1:1/")
    assert heard.calls == []
    await anyio.lowlevel.checkpoint()
    await anyio.lowlevel.checkpoint()
    assert heard.error is not None
    assert heard.error.detail == "the client is closed"


@pytest.mark.real_time
async def test_giving_up_while_connecting_ends_that() -> None:
    looks, given_up = anyio.Event(), anyio.Event()

    async def why_not(_: IpAddress, __: int) -> str | None:
        looks.set()
        try:
            await anyio.sleep_forever()
        finally:
            given_up.set()
        return None

    async with serving() as server, Client(idle=3.0, why_not=why_not) as client:
        heard = Heard()
        call = client.send(heard, "GET", server.url)
        await looks.wait()
        assert repr(call).endswith(" connecting>")
        call.close()
        await anyio.wait_all_tasks_blocked()
        assert given_up.is_set()
        assert (heard.calls, server.connections, client.statistics().open) == ([], 0, 0)
        late = Heard()
        client.send(late, "GET", server.url)
        await anyio.wait_all_tasks_blocked()
        client.close()
        assert late.calls == ["lost"]


@pytest.mark.real_time
async def test_giving_up_before_it_begins_to_connect_ends_that() -> None:
    async with serving() as server, Client(idle=3.0) as client:
        heard = Heard()
        call = client.send(heard, "GET", server.url)
        call.close()
        call.close()
        await anyio.wait_all_tasks_blocked()
        assert (heard.calls, server.connections, client.statistics().open) == ([], 0, 0)
        client.close()
    assert (heard.calls, repr(call).endswith(" None>")) == ([], True)


@pytest.mark.real_time
async def test_connecting_that_goes_on_after_it_was_given_up_harms_nobody() -> None:
    """A cancellation may be lost on its way, as it is where a race ends in that very moment."""
    looks, on = anyio.Event(), anyio.Event()

    async def why_not(_: IpAddress, __: int) -> str | None:
        if not looks.is_set():
            looks.set()
            with suppress(asyncio.CancelledError):
                await anyio.sleep_forever()
            await on.wait()
        return None

    async with serving() as server, Client(idle=3.0, why_not=why_not) as client:
        heard = Heard()
        call = client.send(heard, "GET", server.url)
        await looks.wait()
        call.close()
        on.set()
        await server.closed.wait()
        assert (heard.calls, server.asked, client.statistics().open) == ([], [], 0)
        answer = await ask(client, "GET", server.url, seconds=FOREVER, bounds=Bounds(9, Intake()))
        assert answer.body == b"from 2"


@pytest.mark.real_time
async def test_an_error_of_the_block_is_not_wrapped() -> None:
    with pytest.raises(ZeroDivisionError):
        async with Client(idle=3.0):
            raise ZeroDivisionError


@pytest.mark.real_time
async def test_a_small_answer_is_waited_for_whole() -> None:
    class Two(Server):
        async def answer(self, stream: SocketStream, mine: int) -> None:
            self.asked.append(await stream.receive())
            await stream.send(HEAD + b"6\r\na: b\r\n\r\nfr")
            await anyio.lowlevel.checkpoint()
            await stream.send(b"om %d" % mine)

    async with serving(Two()) as server, Client(idle=3.0) as client:
        for _ in range(2):
            answer = await ask(
                client, "GET", server.url, seconds=FOREVER, bounds=Bounds(6, Intake())
            )
            assert (answer.status, answer.headers["a"], answer.body) == (200, "b", b"from 1")
        assert client.statistics().reused == 1
        with pytest.raises(TooLongError):
            await ask(client, "GET", server.url, seconds=FOREVER, bounds=Bounds(1, Intake()))
        assert client.statistics().open == 0, "what is too long is not read on"
        assert (
            await ask(
                client, "POST", server.url, seconds=FOREVER, bounds=Bounds(9, Intake()), body=b"{}"
            )
        ).status == 200
        assert server.asked[-1].endswith(b"content-length: 2\r\n\r\n{}")


@pytest.mark.real_time
async def test_who_waits_no_longer_closes_and_who_loses_is_told() -> None:
    async def hang(_: SocketStream) -> None:
        await anyio.sleep_forever()

    async def leave(stream: SocketStream) -> None:
        await stream.aclose()

    async with serving(Talker(hang)) as server, Client(idle=3.0) as client:
        with anyio.move_on_after(0.05) as scope:
            await ask(client, "GET", server.url, seconds=FOREVER, bounds=Bounds(9, Intake()))
        assert scope.cancelled_caught
        assert client.statistics().open == 0
        with pytest.raises(HttpError) as late:
            await ask(client, "GET", server.url, seconds=0.05, bounds=Bounds(9, Intake()))
        assert late.value.fault is NetworkFault.TIMEOUT
        assert client.statistics().open == 0
    async with serving(Talker(leave)) as server, Client(idle=3.0) as client:
        with pytest.raises(HttpError):
            await ask(client, "GET", server.url, seconds=FOREVER, bounds=Bounds(9, Intake()))
