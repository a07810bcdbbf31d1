"""A request's name says when it came, and is nobody else's."""

import re
import time

from exo_supervisor.serve.request_id import new_request_id

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def millisecond(name: str) -> int:
    number = 0
    for digit in name[:10]:
        number = number * 32 + ALPHABET.index(digit)
    return number


def test_names_are_unlike_each_other_and_sorted_by_time() -> None:
    before = time.time_ns() // 1_000_000
    names = [new_request_id() for _ in range(10_000)]
    after = time.time_ns() // 1_000_000
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(f"[{ALPHABET}]{{26}}", name) for name in names)
    assert before <= millisecond(names[0]) <= millisecond(names[-1]) <= after
    assert [name[:10] for name in names] == sorted(name[:10] for name in names)
    chance = {digit for name in names for digit in name[10:]}
    assert chance == set(ALPHABET)


def test_a_name_tells_its_millisecond_whichever_was_made_before() -> None:
    instants = [1_700_000_000_000 + step for step in (0, 1, 1023, 1024, 5, 4_000_000_000, 6)]
    for now in instants:
        name = new_request_id(lambda now=now: now * 1_000_000 + 999_999)
        assert millisecond(name) == now
