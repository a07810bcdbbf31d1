"""An attempt is sent with the key that holds when it begins."""

from collections.abc import Callable, Mapping

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.names import ModelId, ProviderName, RequestId
from exo_supervisor.core.policy import ANY_TIMERS, Policy
from exo_supervisor.http.call import Listener
from exo_supervisor.http.faults import HttpError
from exo_supervisor.http.url import Proxy
from exo_supervisor.runtime.policy_and_keys import PolicyAndKeys
from exo_supervisor.serve.upstream import Upstream
from exo_supervisor.wire.table import OPERATIONS

CHAT = OPERATIONS["/v1/chat/completions"].read(
    b'{"model":"m","messages":[{"role":"user","content":"hi"}]}', {}
)
START = StartAttempt(
    request=RequestId("r"), attempt=1, target=ProviderName("p"), url="http://127.0.0.1:1/v1",
    model=ModelId("m"), generation=None, timers=ANY_TIMERS, shift=None,
)  # fmt: skip


class Wire:
    """Takes what is sent, and answers nothing."""

    sent, head, body = 0, b"", b""
    connected = None
    take_chunk: Callable[[bytes, bytes, int], bool] | None = None

    def __init__(self) -> None:
        self.heads: list[bytes] = []

    def send(
        self, listener: Listener, method: str, url: str, *, headers: bytes, body: bytes,
        connect_timeout: float, proxy: Proxy | None,
    ) -> "Wire":  # fmt: skip
        del listener, method, url, body, connect_timeout, proxy
        self.heads.append(headers)
        return self

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def leave(self) -> None: ...
    def close(self) -> None: ...


class Deaf:
    """Hears of no answer."""

    def head(self, status: int, headers: Mapping[str, str]) -> None: ...
    def data(self, data: bytes) -> None: ...
    def end(self) -> None: ...
    def lost(self, error: HttpError) -> None: ...


def test_keys_that_were_replaced_are_sent_no_more() -> None:
    wire = Wire()
    current = PolicyAndKeys(Policy(), {"p": ("old-key",)})
    upstream = Upstream(wire, wire, current.keys)
    for keys in ({"p": ("old-key",)}, {"p": ("new-key",)}, {"p": (None,)}):
        current.swap(Policy(), keys, lambda _event: None)
        for _ in range(2):
            assert upstream.send(START, CHAT, Deaf()) is not None
    sent = [
        next((key for key in (b"old-key", b"new-key") if key in head), b"") for head in wire.heads
    ]
    assert sent == [b"old-key", b"old-key", b"new-key", b"new-key", b"", b""]


def test_an_attempt_at_a_provider_that_has_just_left_is_not_sent() -> None:
    wire = Wire()
    current = PolicyAndKeys(Policy(), {"p": ("old-key",)})
    upstream = Upstream(wire, wire, current.keys)
    current.swap(Policy(), {}, lambda _event: None)
    assert upstream.send(START, CHAT, Deaf()) is None
    assert wire.heads == []
