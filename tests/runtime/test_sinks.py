"""What happened is told to every sink, and one that breaks hurts nobody."""

from structlog.testing import capture_logs

from exo_supervisor.core.effects import Announce
from exo_supervisor.runtime.sinks import Sinks
from exo_supervisor.views.request_done import RequestDone, RequestLine

RECORD = RequestDone(RequestLine("r", status=200))
SAID = Announce(level="info", name="node_ready", facts={})
SECRET = "what the prompt said"


class Noting:
    """A sink that notes what it is told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.told: list[object] = []

    def done(self, record: RequestDone) -> None:
        self.told.append(record)

    def announce(self, said: Announce) -> None:
        self.told.append(said)


class Broken(Noting):
    """One that breaks at everything."""

    def done(self, record: RequestDone) -> None:
        super().done(record)
        raise ValueError(SECRET)

    def announce(self, said: Announce) -> None:
        super().announce(said)
        raise ZeroDivisionError


def test_every_sink_is_told_of_everything_though_others_break() -> None:
    sinks = [Broken("ledger"), Noting("log"), Broken("events"), Noting("metrics")]
    told = Sinks(sinks)
    with capture_logs():
        told.done(RECORD)
        told.announce(SAID)
    assert [sink.told for sink in sinks] == [[RECORD, SAID]] * 4
    assert told.failures == {"ledger": 2, "log": 0, "events": 2, "metrics": 0}


def test_a_broken_sink_is_named_and_counted_without_what_it_was_told() -> None:
    told = Sinks([Broken("ledger")])
    with capture_logs() as lines:
        for _ in range(9):
            told.done(RECORD)
    assert [(line["event"], line["sink"], line["failures"]) for line in lines] == [
        ("sink_failed", "ledger", many) for many in (1, 2, 4, 8)
    ]
    assert all(line["log_level"] == "error" for line in lines)
    assert str(lines[0]["crash"]).startswith("['ValueError < ")
    assert SECRET not in str(lines)
