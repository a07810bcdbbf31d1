"""The verb `chat`: a question, or a conversation where a person sits at a terminal."""

import sys
from collections.abc import Collection, Sequence

from exo_supervisor.cli.ask import ask
from exo_supervisor.cli.conversation import Conversation
from exo_supervisor.cli.errors import USAGE, VerbError, misuse
from exo_supervisor.cli.http import view
from exo_supervisor.cli.json_view import texts
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import cell, note, on_terminal
from exo_supervisor.cli.waiting import Waiting
from exo_supervisor.client.json_object import Fields, objects

_MOST_NAMED = 8
_EXAMPLE = 'exo-supervisor chat "PROMPT"'


def chat(arguments: Arguments) -> int:
    """Ask one question and write the answer, or converse; fails if an answer is not whole."""
    if _converses(arguments):
        return Conversation(arguments, arguments.model or only_ready(arguments)).run()
    question = _question(arguments)
    model = arguments.model or only_ready(arguments)
    told: list[Fields] = [{"role": "user", "content": question}]
    if arguments.system is not None:
        told.insert(0, {"role": "system", "content": arguments.system})
    ask(arguments, model, told)
    return 0


def _converses(arguments: Arguments) -> bool:
    seated = on_terminal(sys.stdin) and on_terminal(sys.stdout)
    return seated and not arguments.words and not arguments.json


def _question(arguments: Arguments) -> str:
    """Join what is piped in and the words, a blank line between; or read one line that is typed."""
    words = " ".join(arguments.words)
    try:
        parts = _piped(wanted=not words), words
        text = "\n\n".join(part for part in parts if part.strip())
        text.encode()
    except UnicodeError as error:
        raise misuse("the prompt is not UTF-8", _EXAMPLE) from error
    if not text:
        raise misuse("the prompt is empty", _EXAMPLE)
    return text


def _piped(*, wanted: bool) -> str:
    if not sys.stdin:
        return ""
    if on_terminal(sys.stdin):
        if not wanted:
            return ""
        note("one line, then Enter:")
        return sys.stdin.readline().rstrip("\n")
    with Waiting(lambda: "-- waiting: standard input is a pipe; its end ends this"):
        return sys.stdin.read().rstrip("\n")


def only_ready(arguments: Arguments) -> str:
    """Take the one model that is ready (at Exo before cloud); several or none are an error."""
    listed = objects(view(arguments, "/supervisor/models").get("models"))
    known = [each for each in listed if not each.get("alias_of")]
    local = [] if arguments.route == "cloud" else _names(known, {"ready"})
    if local:
        found = local
    elif arguments.privacy or arguments.route == "exo":
        found = []
    else:
        found = _names([each for each in known if _in_a_cloud(each)], {"ready", "cloud"})
    if len(found) == 1:
        return found[0]
    if not found:
        raise VerbError("no model is ready", hint="exo-supervisor status")
    named = [cell(name) for name in found[:_MOST_NAMED]]
    more = [f"and {len(found) - _MOST_NAMED} more"] if len(found) > _MOST_NAMED else []
    raise VerbError(
        f"{len(found)} models are ready, so one must be named",
        why=[", ".join([*named, *more])],
        hint=f"exo-supervisor chat --model {named[0]} ...",
        exit_code=USAGE,
    )


def _names(models: Sequence[Fields], states: Collection[object]) -> list[str]:
    named = [each.get("id") for each in models if each.get("state") in states]
    return [name for name in named if isinstance(name, str) and name]


def _in_a_cloud(model: Fields) -> bool:
    """Tell whether a provider has it: a provider's name has no colon, a node's address has one."""
    targets = [text for where in objects(model.get("where")) for text in texts(where.get("target"))]
    return model.get("state") == "cloud" or any(":" not in target for target in targets)
