"""A provider's keys, by their places in the configuration: the keys themselves never come here.

A key is *good*, *refused* until an instant, or *on trial* once that has come: its next attempt
decides. A refusal lasts longer each time, until content proves the key.

    good --refused--> refused --time--> on trial --refused--> refused, twice as long
      ^                  |                 |
      '----- content of an attempt that began since the refusal
"""

from math import inf

from msgspec import Struct

KEY_REST = 300.0
KEY_REST_MAX = 3600.0
"""Seconds for which a refused key is left alone: first, doubling, at most; it may be mended."""


class Key(Struct, frozen=True):
    """What is known of one key; `refused_at` is when it was refused last.

    `why` are the provider's own words, where they are of money and not of the key.
    """

    until: float = -inf
    rest: float = 0.0
    refused_at: float = -inf
    status: int = 0
    why: str = ""

    def usable(self, now: float) -> bool:
        """Say whether it may be tried."""
        return now >= self.until


GOOD = Key()
"""A key that was not refused, or that was proven since."""


def refuse(key: Key, now: float, status: int = 0, why: str = "") -> Key:
    """Leave a key alone for a while, each time for longer.

    One that is left alone already stays as it is: this was asked before that was known.
    """
    if not key.usable(now):
        return key
    rest = min(KEY_REST_MAX, 2.0 * key.rest or KEY_REST)
    return Key(now + rest, rest, now, status, why)


def prove(key: Key, began: float) -> Key:
    """Take in that an attempt that `began` at an instant brought content.

    One that began before the last refusal says nothing: an account is spent in mid-answer, too.
    """
    return GOOD if began >= key.refused_at else key
