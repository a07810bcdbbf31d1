"""The flight recorder keeps the last requests, moves and trips, within its bounds."""

import tracemalloc
from typing import Any, cast

from msgspec import structs

from exo_supervisor.core.effects import Announce
from exo_supervisor.core.requests.refusals import SHORT
from exo_supervisor.views.recorded import Row, ended, how_far_back, row_of, shifts
from exo_supervisor.views.recorder import MOST, MOST_BYTES, MOST_MOVES, Recorder
from exo_supervisor.views.request_done import AttemptDone, RequestDone, RequestLine

SINCE = "1970-01-01T00:16:40.000Z"


def line(name: str, **more: object) -> RequestLine:
    made = RequestLine(name, model="chat", target="n:1", attempts=1, outcome="success")
    for field, value in {"duration": 1.0, **more}.items():
        setattr(made, field, value)
    return made


def tried(target: str = "n:1", message: str = "", cost: int | None = None) -> AttemptDone:
    return AttemptDone(
        target, "m", "m", None, 0.0, 1.0, 0.1, 0.2, "none", 200, message, cost=cost
    )  # fmt: skip


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def said(name: str, **facts: object) -> Announce:
    return Announce(level="info", name=name, facts=facts)


def shifted(to: str, reason: str) -> Announce:
    was = "exo" if to == "cloud" else "cloud"
    facts: dict[str, object] = {"model": "chat", "from": was, "to": to}
    return said("traffic_shifted", reason=reason, target="p", **facts)


def rows(body: Row, key: str) -> list[Any]:
    return cast("list[Any]", body[key])


def test_the_oldest_go_where_there_are_too_many() -> None:
    recorder = Recorder(Clock(), most=3)
    for number in range(5):
        recorder.done(RequestDone(line(f"r{number}"), [tried()]))
    assert list(recorder.kept) == ["r2", "r3", "r4"]
    newest = [row["id"] for row in ended(recorder, 2, lambda _: False)]
    assert newest == ["r4", "r3"]
    assert how_far_back(recorder)["since"] == "1970-01-01T00:16:39.000Z"


def test_the_oldest_go_where_they_are_too_large() -> None:
    recorder = Recorder(Clock(), most_bytes=100_000)
    for number in range(20):
        recorder.done(RequestDone(line(f"r{number}"), [tried(message="x" * 5000)]))
        assert recorder.size <= 100_000
    assert len(recorder.kept) == 4
    assert how_far_back(recorder)["bytes"] == recorder.size


def test_what_is_reckoned_is_no_less_than_what_it_takes() -> None:
    recorder = Recorder(Clock())
    tracemalloc.start()
    for number in range(MOST + 100):
        message = f"{number} is in the way " * 5
        recorder.done(RequestDone(line(f"{number:026}"), [tried(message=message)] * 2))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < recorder.size <= MOST_BYTES


def test_a_name_that_a_provider_gave_is_reckoned_with() -> None:
    """It may have 256 characters, of four bytes each."""
    plain, named = Recorder(Clock()), Recorder(Clock())
    plain.done(RequestDone(line("r"), [tried()]))
    named.done(RequestDone(line("r"), [structs.replace(tried(), served_model="\U0001f600" * 256)]))
    assert named.size == plain.size + 4 * 256


def test_no_name_of_a_model_pushes_others_out() -> None:
    recorder = Recorder(Clock())
    recorder.done(RequestDone(line("r", model="x" * MOST_BYTES)))
    assert len(str(recorder.kept["r"].line.model)) == SHORT + len("...")


def test_a_request_of_somebody_else_is_shown_as_one_under_way_is() -> None:
    recorder = Recorder(Clock())
    recorder.done(RequestDone(line("r", client="kids"), [tried()]))
    assert row_of(recorder.kept["r"], full=False) == {
        "id": "r", "model": "chat", "target": "n:1", "attempts": 1, "state": "ended",
        "since": "1970-01-01T00:16:39.000Z", "why": None, "prefill": None, "full": False,
    }  # fmt: skip


def test_a_target_quotes_nothing_long_of_what_it_was_asked() -> None:
    recorder = Recorder(Clock())
    recorder.done(
        RequestDone(line("r"), [tried(message=f"it refused '{'my secret ' * 9}' at once")])
    )
    assert row_of(recorder.kept["r"], full=True)["tried"][0]["message"] == "it refused … at once"  # type: ignore[index] - a list of rows


def test_a_move_counts_what_went_there_until_traffic_moved_back() -> None:
    clock = Clock()
    recorder = Recorder(clock, row_of=lambda name: "chat" if name == "alias" else name)
    recorder.announce(shifted("cloud", "exo_down"))
    away = {"target": "p", "shift": "exo_down"}
    recorder.done(RequestDone(line("a", **away), [tried("p", cost=1_500_000)]))
    recorder.done(RequestDone(line("b", model="alias", **away), [tried("p", cost=1)]))
    recorder.done(RequestDone(line("c"), [tried()]))
    recorder.done(RequestDone(line("d", model="other", **away), [tried("p")]))
    clock.now += 10.0
    recorder.announce(shifted("exo", "recovered"))
    recorder.done(RequestDone(line("e", duration=10.5, **away), [tried("p")]))
    recorder.done(RequestDone(line("f", duration=0.0, **away), [tried("p")]))
    clock.now += 5.0
    back, move = rows(shifts(recorder, clock.now, "USD"), "shifts")
    assert (move["since"], move["until"]) == (SINCE, "1970-01-01T00:16:50.000Z")
    assert (move["requests"], move["cost_microdollars"], move["duration"]) == (3, 2, 10.0)
    assert (back["reason"], back["until"], back["duration"], back["requests"]) == (
        "recovered", None, 5.0, 0,
    )  # fmt: skip


def test_a_trip_is_kept_with_its_evidence_and_its_end() -> None:
    clock = Clock()
    recorder = Recorder(clock)
    of: dict[str, object] = {"target": "n:1", "model": None}
    recorder.announce(said("breaker_opened", reason="trip_after", evidence=[1], **of))
    recorder.announce(said("breaker_opened", reason="trip_after", target="n:2", model=None))
    recorder.announce(said("breaker_half_opened", reason="probe_sent", request_id="r", **of))
    clock.now += 3.0
    recorder.announce(said("breaker_closed", reason="none", request_id="r", **of))
    recorder.announce(said("node_up", node="n:1"))
    clock.now += 1.0
    other, trip = rows(shifts(recorder, clock.now, "USD"), "trips")
    assert (trip["target"], trip["evidence"], trip["duration"]) == ("n:1", [1], 3.0)
    assert (other["closed"], other["duration"]) == (None, 4.0)
    recorder.done(RequestDone(line("r"), [tried()]))
    recorder.done(RequestDone(line("s"), [tried()]))
    told = [each.state for each in recorder.kept["r"].breakers]
    assert told == ["half_open", "closed"]
    assert recorder.kept["s"].breakers == ()


def test_moves_and_trips_have_a_bound() -> None:
    recorder = Recorder(Clock())
    for _ in range(MOST_MOVES):
        recorder.announce(shifted("cloud", "exo_down"))
        recorder.announce(shifted("exo", "recovered"))
        recorder.announce(said("breaker_opened", reason="", target="n", model=None))
    assert len(recorder.moves) == len(recorder.trips) == MOST_MOVES


def test_a_request_is_found_by_the_beginning_of_its_id() -> None:
    recorder = Recorder(Clock())
    for name in ("01AB", "01ABC", "01CD"):
        recorder.done(RequestDone(line(name)))
    found = {
        prefix: [each.line.request_id for each in recorder.starting(prefix)]
        for prefix in ("01AB", "01A", "01C", "02")
    }
    assert found == {"01AB": ["01AB"], "01A": ["01AB", "01ABC"], "01C": ["01CD"], "02": []}
