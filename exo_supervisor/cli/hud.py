"""The verb `hud`: the house on one page of a browser, for as long as it runs."""

import json
import os
import secrets
import sys

from exo_supervisor.cli.errors import VerbError
from exo_supervisor.cli.locate import find
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import note, on_terminal, say
from exo_supervisor.errors import why_failed


def hud(arguments: Arguments) -> int:
    """Print the page's address, and open it where there is a desktop; Ctrl-C ends it."""
    from exo_supervisor.cli.forward import Forwarder

    path = find(arguments)
    try:
        forwarder = Forwarder(path, _own_loopback())
    except OSError as error:
        raise VerbError("no loopback port can be opened", why=[why_failed(error)]) from error
    say(json.dumps({"url": forwarder.url}) if arguments.json else forwarder.url)
    if arguments.open or (on_terminal(sys.stdout) and _has_desktop()):
        _open(forwarder.url)
    note("the address works once, in one browser, while this runs; Ctrl-C ends it")
    try:
        forwarder.run()
    except OSError as error:
        why, hint = [why_failed(error)], "exo-supervisor hud"
        raise VerbError("the page's port failed", why=why, hint=hint) from error
    return 0


def _own_loopback() -> str:
    """Choose an address that no other page of this host's browsers has cookies for."""
    if not sys.platform.startswith("linux"):
        return "127.0.0.1"
    return f"127.{secrets.randbelow(254) + 1}.{secrets.randbelow(256)}.{secrets.randbelow(254) + 1}"


def _has_desktop() -> bool:
    return sys.platform == "darwin" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )


def _open(url: str) -> None:
    """Open the page by way of a file of our own: every user can read a command line."""
    import atexit
    import tempfile
    import webbrowser
    from pathlib import Path

    folder = os.environ.get("XDG_RUNTIME_DIR") or None
    number, name = tempfile.mkstemp(prefix="exo-hud-", suffix=".html", dir=folder)
    with os.fdopen(number, "w", encoding="ascii") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0;url={url}">\n')
    atexit.register(Path(name).unlink, missing_ok=True)
    if not webbrowser.open(Path(name).as_uri()):
        note("no browser was found: open the address above")
