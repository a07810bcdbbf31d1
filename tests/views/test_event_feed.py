"""Listeners hear every event once and in order, or are told how many they missed."""

import json
import re

import pytest
from hypothesis import stateful as sm
from hypothesis import strategies as st

from exo_supervisor.core.effects import say
from exo_supervisor.views import event_feed
from exo_supervisor.views.as_json import MOST_BYTES
from exo_supervisor.views.event_feed import (
    BATCH,
    BadEventIdError,
    EventFeed,
    Subscription,
    TooManyListenersError,
)
from exo_supervisor.views.request_done import AttemptDone, RequestDone, RequestLine

RUN = "0123456789abcdef"
LINE = RequestLine("r1", model="m", status=200, outcome="success")


def feed_of(most: int = 4, **more: int) -> EventFeed:
    return EventFeed(RUN, lambda: "t", most=most, **more)


def heard(listener: Subscription) -> list[tuple[str, int, dict[str, object]]]:
    """Take all that is due: each event's name, number and data."""
    told: list[tuple[str, int, dict[str, object]]] = []
    while text := listener.take():
        for event in text.decode().split("\n\n")[:-1]:
            read = re.fullmatch(rf"id: {RUN}-(\d+)\nevent: (\S+)\ndata: (.*)", event)
            assert read
            told.append((read[2], int(read[1]), json.loads(read[3])))
    return told


ANNA = "anna", 1


def sees_all(_name: str, _user: int | None) -> bool:
    return True


def listen(
    feed: EventFeed, last: str | None = None, whose: event_feed.Owner = ANNA
) -> Subscription:
    return feed.listen(last, lambda: None, sees_all, whose)


def texts(feed: EventFeed) -> list[bytes]:
    return [text for _, text in feed.ring]


def tell(feed: EventFeed, many: int = 1) -> None:
    for _ in range(many):
        feed.announce(say("info", "node_ready", node="n:1"))


def test_a_listener_hears_what_comes_after_it_and_is_woken() -> None:
    feed, woken = feed_of(), list[int]()
    tell(feed)
    with feed.listen(None, lambda: woken.append(1), sees_all, ANNA) as listener:
        assert heard(listener) == []
        tell(feed)
        assert heard(listener) == [
            ("node_ready", 2, {"ts": "t", "level": "info", "event": "node_ready", "node": "n:1"})
        ]
    tell(feed)
    assert woken == [1]


def test_a_request_is_told_of_at_its_start_and_end_with_what_was_tried() -> None:
    feed = feed_of()
    attempt = AttemptDone("n:1", "m", None, None, 0.0, 1.0, 0.5, None, "stall", 200, "no\u2028word")
    with listen(feed) as listener:
        feed.started(LINE)
        feed.done(RequestDone(LINE))
        feed.done(RequestDone(LINE, (attempt,)))
        (began, _, facts), (_, _, quick), (_, _, slow) = heard(listener)
    assert (began, facts["request_id"], facts["client"]) == ("request_started", "r1", "default")
    assert quick.pop("tried") == []
    (tried,) = slow.pop("tried")  # type: ignore[misc]
    assert (tried["target"], tried["fault"], tried["message"]) == ("n:1", "stall", "no\u2028word")
    assert quick == slow
    assert quick["event"] == "request_done"


@pytest.mark.parametrize(
    "name", ["\ud800", "x" * 100_000, "a\nevent: b\r\n\r\ndata: c", "\x7f\x9b"]
)
def test_a_hostile_name_stays_within_its_event(name: str) -> None:
    """It ends no event, is of bounded size, and holds nothing that a terminal obeys."""
    feed = feed_of()
    with listen(feed) as listener:
        line = RequestLine("r1", model=name)
        feed.started(line)
        feed.done(RequestDone(line))
        feed.announce(say("info", "models_listed", models=[name] * 32))
        assert sum(map(len, texts(feed))) < 4 * MOST_BYTES
        assert not re.search(rb"[^\x20-\x7e\n]", b"".join(texts(feed)).replace(b"\\", b""))
        assert [told for told, _, _ in heard(listener)] == [
            "request_started", "request_done", "models_listed",
        ]  # fmt: skip


def test_of_others_requests_one_hears_nothing_and_of_the_house_all() -> None:
    feed = feed_of(most=9)
    mine, other = RequestLine("r2", client="kids", client_uid=7), LINE
    with feed.listen(
        None, lambda: None, lambda name, user: (name, user) == ("kids", 7), ANNA
    ) as kids:
        for line in (other, mine):
            feed.started(line)
            feed.done(RequestDone(line))
        tell(feed)
        told = [(name, facts.get("request_id")) for name, _, facts in heard(kids)]
    assert told == [("request_started", "r2"), ("request_done", "r2"), ("node_ready", None)]


def test_nothing_is_written_while_nobody_listens_but_numbers_go_on() -> None:
    feed = feed_of()
    tell(feed, 3)
    assert not feed.ring
    with listen(feed):
        pass
    tell(feed, 4)
    assert len(feed.ring) == 4
    tell(feed)
    assert not feed.ring
    with listen(feed, f"{RUN}-1") as listener:
        assert heard(listener) == [
            ("lagged", 8, {"ts": "t", "level": "warning", "event": "lagged", "missed": 7})
        ]


def test_who_comes_back_goes_on_where_it_was() -> None:
    feed = feed_of()
    with listen(feed) as listener:
        tell(feed, 2)
        heard(listener)
    tell(feed, 2)
    with listen(feed, f"{RUN}-2") as listener:
        assert [number for _, number, _ in heard(listener)] == [3, 4]


@pytest.mark.parametrize("strange", ["f" * 16 + "-1", f"{RUN}-99"])
def test_an_id_that_this_run_never_gave_is_told_as_a_gap_of_unknown_size(strange: str) -> None:
    feed = feed_of()
    tell(feed, 3)
    with listen(feed, strange) as listener:
        ((name, number, facts),) = heard(listener)
        assert (name, number, facts["missed"]) == ("lagged", 3, None)


@pytest.mark.parametrize("garbage", ["1", f"{RUN}-", f"{RUN}-1\n", f"{RUN}-٣", "-1", "x" * 9999])
def test_what_is_no_id_is_refused(garbage: str) -> None:
    with pytest.raises(BadEventIdError):
        listen(feed_of(), garbage)


def test_there_are_no_more_listeners_than_may_be() -> None:
    feed = feed_of(most_listeners=2)
    with listen(feed), listen(feed), pytest.raises(TooManyListenersError, match="2 listeners"):
        listen(feed)
    with listen(feed):
        pass


def test_one_client_does_not_take_every_place() -> None:
    feed = feed_of(most_listeners=8)
    for user in (1, 1, 2, 1, 1, 1):
        listen(feed, whose=("default", user))
    for user, own in ((1, 5), (2, 1)):
        with pytest.raises(TooManyListenersError, match=f"you listen {own} times"):
            listen(feed, whose=("default", user))
    listen(feed, whose=("kids", None))
    last = listen(feed, whose=("default", 3))
    with pytest.raises(TooManyListenersError, match="8 listeners"):
        listen(feed, whose=("default", 4))
    feed.leave(last)
    listen(feed, whose=("default", 4))


def test_the_ring_is_bounded_in_bytes_and_a_batch_too() -> None:
    feed = feed_of(most=1000, most_bytes=3 * BATCH)
    with listen(feed) as slow, listen(feed) as quick:
        for _ in range(400):
            feed.announce(say("info", "e", text="x" * 900))
            quick.take()
        assert sum(map(len, texts(feed))) <= 3 * BATCH
        name, _, facts = heard(slow)[0]
        assert (name, facts["missed"]) == ("lagged", 400)
        for _ in range(80):
            feed.announce(say("info", "e", text="x" * 900))
        assert BATCH - 2000 < len(slow.take()) <= BATCH


def test_the_last_shift_is_kept_though_nobody_listens() -> None:
    feed = feed_of()
    feed.announce(say("info", "traffic_shifted", reason="busy"))
    assert feed.last_shift == event_feed.Shift("t", {"reason": "busy"})


class AnyListeners(sm.RuleBasedStateMachine):
    """Listeners come, read, lag, leave and come back while events happen."""

    listeners: sm.Bundle[Subscription] = sm.Bundle("listeners")

    def __init__(self) -> None:
        super().__init__()
        self.feed = feed_of(most=5, most_listeners=3)
        self.happened = 0
        self.at: dict[Subscription, int] = {}

    @sm.rule(many=st.integers(1, 7))
    def happen(self, many: int) -> None:
        tell(self.feed, many)
        self.happened += many

    @sm.rule(target=listeners, back=st.one_of(st.none(), st.integers(0, 12)))
    def come(self, back: int | None) -> sm.MultipleResults[Subscription]:
        after = self.happened if back is None else max(0, self.happened - back)
        try:
            listener = listen(self.feed, None if back is None else f"{RUN}-{after}")
        except TooManyListenersError:
            assert len(self.at) == 3
            return sm.multiple()
        self.at[listener] = after
        return sm.multiple(listener)

    @sm.rule(listener=listeners)
    def read(self, listener: Subscription) -> None:
        if listener not in self.at:
            return
        missing = self.happened - self.at[listener]
        told = heard(listener)
        self.at[listener] = self.happened
        if told and told[0][0] == "lagged":
            assert [(n, f["missed"]) for _, n, f in told] == [(self.happened, missing)]
        else:
            numbers = range(self.happened - missing + 1, self.happened + 1)
            assert [number for _, number, _ in told] == [*numbers]

    @sm.rule(listener=sm.consumes(listeners))
    def leave(self, listener: Subscription) -> None:
        if self.at.pop(listener, None) is not None:
            self.feed.leave(listener)

    @sm.invariant()
    def the_ring_is_bounded_and_its_numbers_have_no_gap(self) -> None:
        assert len(self.feed.ring) <= 5
        ids = [int(re.findall(rb"-(\d+)\n", text)[0]) for text in texts(self.feed)]
        assert ids == [*range(self.happened - len(ids) + 1, self.happened + 1)]


TestAnyListeners = AnyListeners.TestCase
