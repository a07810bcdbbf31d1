"""What a person says after `nodes`: trust one that was found, do so no more, or forget."""

from exo_supervisor.cli.errors import VerbError, misuse
from exo_supervisor.cli.http import fetch, in_path, told
from exo_supervisor.cli.json_view import parse_object, texts
from exo_supervisor.cli.json_view import word as w
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import cell, clean, note, raw, say
from exo_supervisor.client.json_object import Fields

_WORDS = ("trust", "untrust")


def trust(arguments: Arguments) -> int:
    """Have the service pin a node, or all that are only found, or give pins up."""
    word, address = [*arguments.words, "", ""][:2]
    if word not in _WORDS:
        raise misuse(
            f"nodes takes trust or untrust, got `{word}`", "exo-supervisor nodes trust ADDRESS"
        )
    if bool(address) == arguments.all:
        raise misuse(
            f"nodes {word} wants a node's address, or --all", f"exo-supervisor nodes {word} ADDRESS"
        )
    whom = f"{in_path(address, ':')}/" if address else ""
    answer = fetch(arguments, f"/supervisor/nodes/{whom}{word}", "POST")
    body = parse_object(answer)
    if arguments.json:
        raw(answer)
    else:
        _tell(word, address, body)
    if body.get("kept") is False:
        raise VerbError(
            "the state directory does not hold who is trusted now, and a restart loses it",
            why=[w(body.get("why"))],
            hint=f"exo-supervisor nodes {word} {cell(address) or '--all'}",
        )
    return 0


def _tell(word: str, address: str, body: Fields) -> None:
    changed = texts(body.get("changed"))
    if not changed:
        say(f"{clean(address) or 'nodes'}: nothing to {word}")
        return
    done = "trusted" if word == "trust" else "trusted no more"
    if body.get("kept") is False:
        done += ", but only until the service restarts"
    elif word == "trust":
        done += ", also for what must stay in the house"
    for node in changed:
        say(f"{node}: {done}")
    if word == "trust":
        note(f"undo: exo-supervisor nodes untrust {changed[0] if len(changed) == 1 else '--all'}")


def forget(arguments: Arguments) -> int:
    """Have the service forget the nodes that are not up and that no person named."""
    if arguments.words or arguments.all:
        raise misuse("nodes --forget takes nothing else", "exo-supervisor nodes --forget")
    if (body := told(arguments, "/supervisor/nodes/forget", "POST")) is None:
        return 0
    forgotten = texts(body.get("forgotten"))
    for node in forgotten:
        say(f"{node}: forgotten")
    if not forgotten:
        say("already forgotten: every node that is left is up, pinned or configured")
    return 0
