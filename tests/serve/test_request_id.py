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
