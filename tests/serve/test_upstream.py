"""What a target is sent: in its own dialect, with its key, and what a client said in the same."""

from typing import cast

from msgspec import structs

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.http.call import Listener
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage
from exo_supervisor.http.url import Proxy
from exo_supervisor.runtime.policy_and_keys import KeysByName
from exo_supervisor.serve.upstream import Upstream, opening_fault
from exo_supervisor.wire.chat.request import ChatRequest
from tests.serve.virtual import Call, start
from tests.wire.requests import a_chat

NOBODY = cast("Listener", None)


class Sender:
    """Notes what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, float]] = []

    def send(
        self, listener: Listener, method: str, url: str, *, headers: bytes, body: bytes,
        connect_timeout: float, proxy: Proxy | None,
    ) -> Call:  # fmt: skip
        del listener, method, body, proxy
        self.sent.append((url, headers.decode(), connect_timeout))
        return cast("Call", None)


class House:
    """Nodes, providers and those of the house."""

    def __init__(self, keys: KeysByName) -> None:
        self.keys = keys
        self.nodes, self.clouds, self.house = Sender(), Sender(), Sender()
        self.upstream = Upstream(self.nodes, self.clouds, lambda: self.keys, house=self.house)

    def send(self, order: StartAttempt, chat: ChatRequest) -> None:
        self.upstream.send(order, chat, NOBODY)


def order(dialect: str = "", *, local: bool = False, key: int = 0) -> StartAttempt:
    told = start(RequestId("r"), generation=None)
    return structs.replace(told, dialect=dialect, local=local, key=key)


def test_headers_of_a_client_go_to_those_alone_who_speak_its_dialect() -> None:
    house = House({"n:1": ("sk-1", "sk-2")})
    chat = structs.replace(
        a_chat(), dialect="anthropic", headers=(("anthropic-beta", "files-2026"),)
    )
    house.send(order("anthropic", key=1), chat)
    house.send(order("openai"), chat)
    house.send(start(RequestId("r")), chat)
    told = [headers for _, headers, _ in (*house.clouds.sent, *house.nodes.sent)]
    assert ["anthropic-beta: files-2026" in each for each in told] == [True, False, False]
    assert ["sk-1" in each for each in told] == [False, True, False]
    assert ["sk-2" in each for each in told] == [True, False, False]


def test_who_is_of_the_house_is_asked_over_its_own_client() -> None:
    house = House({"n:1": (None,)})
    for each in (order(), order(local=True), start(RequestId("r"))):
        house.send(each, a_chat())
    assert [len(each.sent) for each in (house.clouds, house.house, house.nodes)] == [1, 1, 1]
    assert house.clouds.sent[0][2] == 2.0
    shared = Upstream(house.nodes, house.clouds, lambda: house.keys)
    shared.send(order(local=True), a_chat(), NOBODY)
    assert len(house.clouds.sent) == 2


def test_other_keys_take_the_place_of_those_that_were() -> None:
    house = House({"n:1": ("sk-old",)})
    house.send(order(), a_chat())
    house.keys = {"n:1": ("sk-new",)}
    house.send(order(), a_chat())
    house.keys = {}
    house.send(order(), a_chat())
    assert ["sk-old" in headers for _, headers, _ in house.clouds.sent] == [True, False]
    assert "sk-new" in house.clouds.sent[1][1]


def test_an_address_that_is_not_of_the_house_is_told_from_other_faults() -> None:
    not_local = HttpError(NetworkFault.BARRED, Stage.CONNECT, Fault.NOT_LOCAL.value)
    assert opening_fault(not_local) is Fault.NOT_LOCAL
    for stage, fault in ((Stage.CONNECT, Fault.CONNECT_TIMEOUT), (Stage.HEAD, Fault.RESET_EARLY)):
        assert opening_fault(HttpError(NetworkFault.TIMEOUT, stage)) is fault
