"""Who listens is told how the house stands once a second, and only where that changed."""

import json

from exo_supervisor.core.effects import say
from exo_supervisor.core.names import RequestId, Side
from exo_supervisor.views.booked import LedgerSeen
from exo_supervisor.views.day_book import DayBook
from exo_supervisor.views.event_feed import EventFeed
from exo_supervisor.views.now import FEWEST_REQUESTS, Pulse, Tokens
from exo_supervisor.views.request_done import RequestDone, RequestLine
from exo_supervisor.views.tally import LAST_REQUESTS, LATELY_SECONDS, Tally
from tests.core.story import BOTH, Story

STAMP = "2026-03-01T12:00:00.000000Z"
NOON = 1_772_366_400.0


class House:
    """A story, what is told of it, and the tokens that came."""

    def __init__(self) -> None:
        self.story = Story(BOTH, "n:1")
        self.wall, self.stopped = 0.0, ""
        self.tally, self.book = Tally(lambda: self.wall), DayBook(lambda: NOON, "USD")
        self.feed = EventFeed("f" * 16, lambda: STAMP)
        self.coming: dict[RequestId, int] = {}
        self.come: dict[Side, float] = {"exo": 0.0, "cloud": 0.0}
        tokens = Tokens(lambda request: self.coming.get(request, 0), lambda side: self.come[side])
        self.pulse = Pulse(
            self.story.machine,
            self.tally,
            self.book,
            self.feed,
            lambda: NOON,
            tokens,
            lambda: LedgerSeen("/x/ledger.db", self.stopped or None, 0),
        )

    def look(self, now: float) -> dict[str, object]:
        self.pulse.look(now)
        told: dict[str, object] = json.loads(self.pulse.text)
        return told


def test_it_tells_what_runs_what_was_asked_today_and_where_nodes_stand() -> None:
    house = House()
    house.story.ask("a")
    line = RequestLine("b", outcome="success", target="p")
    line.leave("p", 10)
    for sink in (house.tally, house.book):
        sink.done(RequestDone(line))
    house.feed.announce(say("info", "traffic_shifted", reason="busy", to="cloud"))
    told = house.look(1.0)
    assert (told["ts"], told["event"], told["running"], told["waiting"]) == (STAMP, "now", 1, 0)
    assert told["nodes"] == {
        "seen": 0, "reachable": 0, "identified": 0, "clustered": 0, "placed": 0, "ready": 1,
    }  # fmt: skip
    assert told["today"] == {
        "requests": 1, "to_cloud": 1, "egress_bytes": 10, "private_bytes": 0,
    }  # fmt: skip
    assert told["last_shift"] == {"ts": STAMP, "reason": "busy", "to": "cloud"}
    assert house.pulse.verdict(1.0).parts[-1].startswith("last shift ")
    assert house.pulse.verdict(1.0).parts[-1].endswith(" busy")


def test_requests_without_an_answer_and_books_that_stand_still_are_amiss() -> None:
    house = House()
    assert house.pulse.verdict(1.0).level == "well"
    for status, outcome in (
        (200, "success"), (404, "refused"), (402, "refused"), (503, "refused"), (200, "failure"),
    ):  # fmt: skip
        house.tally.done(RequestDone(RequestLine("a", status=status, outcome=outcome)))
    seen = house.pulse.verdict(1.0)
    assert seen.level == "weak"
    assert "3 of the last 5 requests got no answer" in seen.parts
    house.wall += LATELY_SECONDS + 1
    assert house.pulse.verdict(1.0).level == "well", "that was long ago"
    house.stopped = "/x/ledger.db: shut: open it"
    assert "nothing is booked" in house.pulse.verdict(1.0).parts


def test_a_few_requests_tell_nothing_and_only_the_last_count() -> None:
    house = House()
    for _ in range(FEWEST_REQUESTS - 1):
        house.tally.done(RequestDone(RequestLine("a", status=503, outcome="refused")))
    assert house.pulse.verdict(1.0).level == "well"
    for _ in range(LAST_REQUESTS):
        house.tally.done(RequestDone(RequestLine("a", status=503, outcome="refused")))
    assert "20 of the last 20 requests got no answer" in house.pulse.verdict(1.0).parts
    for _ in range(LAST_REQUESTS // 2 + 1):
        house.tally.done(RequestDone(RequestLine("a", status=200, outcome="success")))
    assert house.pulse.verdict(1.0).level == "well"


def test_a_shift_of_another_day_says_so() -> None:
    house = House()
    house.feed.announce(say("info", "traffic_shifted", reason="busy"))
    assert " of " not in house.pulse.verdict(1.0).parts[-1]
    house.pulse = Pulse(
        house.story.machine, house.tally, house.book, house.feed, lambda: NOON + 90_000, Tokens()
    )
    assert " of 2026-0" in house.pulse.verdict(1.0).parts[-1]


def test_it_looks_once_a_second_and_counts_only_changes() -> None:
    house = House()
    house.look(1.0)
    house.story.ask("a")
    assert house.look(1.9)["running"] == 0
    assert house.pulse.number == 1
    assert house.look(2.0)["running"] == 1
    house.look(9.0)
    assert house.pulse.number == 2


def test_tokens_are_counted_as_they_come_and_not_again_at_the_end() -> None:
    house = House()
    house.story.ask("a")
    house.coming[RequestId("a")] = 10
    assert house.look(1.0)["tokens_per_second"] == {"exo": 0.0, "cloud": 0.0}
    house.coming[RequestId("a")] = 40
    house.come["cloud"] = 5.0
    assert house.look(3.0)["tokens_per_second"] == {"exo": 15.0, "cloud": 2.5}
    house.story.succeed("a")
    house.story.leave("a")
    house.come["exo"] = 38.0
    assert house.look(4.0)["tokens_per_second"] == {"exo": 0.0, "cloud": 0.0}
