"""The three standard descriptors: who starts us may have closed them."""

import os

STANDARD = 3
"""Descriptors 0, 1 and 2: input, output and errors."""


def fill_standard() -> None:
    """Open /dev/null wherever a standard descriptor is closed.

    Else our first sockets get those numbers: what is printed goes to a client, and libuv, which
    closes no descriptor below three, aborts at the end (uvloop 0.23).
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) < STANDARD:
        pass  # the lowest free number is what is given
    os.close(opened)
