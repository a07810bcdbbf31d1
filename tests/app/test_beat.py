"""systemd hears that we turn, and no more often than it can care about."""

from exo_supervisor.app.beat import Beat

FED, SAID_1, SAID_2 = "WATCHDOG=1", "WATCHDOG=1\nSTATUS=1 node", "WATCHDOG=1\nSTATUS=2 nodes"


def test_the_watchdog_is_fed_ten_times_a_second_at_most_and_told_once() -> None:
    said, told = iter(("1 node", "1 node", "2 nodes")), list[str]()
    turns = {
        100.0: [SAID_1], 100.05: [], 100.125: [FED], 100.5: [FED], 100.55: [],
        101.0: [FED], 101.05: [], 102.0: [SAID_2],
    }  # fmt: skip
    now = iter(turns)
    beat = Beat(lambda: next(said), lambda: next(now), told.append)
    for instant, heard in turns.items():
        beat.send()
        assert told == heard, instant
        told.clear()
