"""The verb `top`: the house in a terminal, as it is from second to second."""

import os
import signal
import sys
import time

from exo_supervisor.cli.event_watch import EVENTS, Events, Watch
from exo_supervisor.cli.http import asked
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.screen import EndedError, Screen, is_dumb, wait
from exo_supervisor.cli.term import SCREEN, clean, on_terminal, say, write
from exo_supervisor.cli.top_view import lines

EVERY = 1.0
"""Seconds between two pictures, where nothing else was said."""
EVERY_DUMB = 10.0
PRINTED = 50
"""Lines of a picture that is printed."""
QUIT = "qQ\x03\x04"


def top(arguments: Arguments) -> int:
    """Show the house until q or Ctrl-C; print it where no screen is, once or again and again."""
    if arguments.json:
        return _events(arguments)
    watch = Watch(arguments)
    watch.begin()
    try:
        if on_terminal(sys.stdout) and not is_dumb():
            return _on_screen(watch, arguments.every or EVERY)
        return _in_blocks(watch, arguments.every or (EVERY_DUMB if on_terminal(sys.stdout) else 0))
    finally:
        watch.close()


def _events(arguments: Arguments) -> int:
    """Print each event's data on a line of its own, until the service ends."""
    events = Events()
    with asked(arguments, "GET", EVENTS, timeout=None) as answer:
        for part in answer.parts():
            for _, data in events.feed(part):
                say(clean(data.decode("utf-8", "replace")))
    return 0


def _in_blocks(watch: Watch, every: float) -> int:
    """Print pictures one below the other; only one where none is to follow."""
    while not watch.picture.now:
        _listen(watch, EVERY)
    while True:
        write("\n".join(lines(watch.picture, SCREEN, PRINTED, time.time())) + "\n")
        if not every:
            return 0
        write("\n")
        until = time.monotonic() + every
        while (left := until - time.monotonic()) > 0:
            _listen(watch, left)


def _listen(watch: Watch, seconds: float, *, keys: bool = False) -> str:
    """Take in what is told, for at most so long; return the keys that were typed."""
    news, typed = wait(min(seconds, EVERY), watch.fileno(), keys=keys)
    if news:
        watch.read()
    watch.keep_up()
    return typed


def _on_screen(watch: Watch, every: float) -> int:
    screen, keys = Screen(), on_terminal(sys.stdin)
    try:
        with screen.drawn_on():
            draw_at = 0.0
            while True:
                now = time.monotonic()
                if now >= draw_at:
                    busy = screen.draw(lines(watch.picture, *screen.size(), time.time()))
                    draw_at = now + max(every, 2 * busy)
                typed = _listen(watch, draw_at - now, keys=keys)
                if any(key in QUIT for key in typed):
                    return 0
    except EndedError as ended:
        signal.signal(ended.number, signal.SIG_DFL)
        os.kill(os.getpid(), ended.number)
        return 128 + ended.number
