"""The verb `why`: why a request went as it did, why traffic moved, where a request would go now."""

import re
import sys
import time

from exo_supervisor.cli import story
from exo_supervisor.cli.errors import VerbError, misuse
from exo_supervisor.cli.http import in_path, told
from exo_supervisor.cli.look import show
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import say
from exo_supervisor.client.json_object import fields, objects

_LAST = "exo-supervisor why --last"
_ID = re.compile(r"0[0-9A-HJKMNP-TV-Z]{3,25}\Z", re.IGNORECASE)
"""What a request's id looks like, or its beginning; a model may be named so, too."""
_WHOLE_ID = 26
"""Characters of a whole one."""


def why(arguments: Arguments) -> int:
    """Tell a request's story, the moves of traffic, or where a request for a model would go."""
    asked = [*arguments.words, *(["--last"] if arguments.last else [])]
    asked += ["--shift"] if arguments.shift else []
    if len(asked) != 1:
        text = "why wants one of: a request's id, a model's name, --last, --shift"
        raise misuse(text, _LAST)
    if arguments.shift:
        path = "/supervisor/shifts"
        return show(arguments, path, lambda body: story.shifts(body, time.time(), sys.stdout))
    if arguments.last:
        return _last(arguments)
    (name,) = arguments.words
    path = in_path(name)
    if _ID.match(name):
        try:
            return _request(arguments, path)
        except VerbError as error:
            if b'"request_not_found"' not in error.body or len(name) == _WHOLE_ID:
                raise
        return _model(arguments, path, f"{name} is no request of the last 1,000")
    return _model(arguments, path, "")


def _model(arguments: Arguments, path: str, no_request: str) -> int:
    """Tell where a request for a model would go; `no_request` says that the name means no other."""
    try:
        return show(
            arguments, f"/supervisor/models/{path}", lambda body: story.model(body, sys.stdout)
        )
    except VerbError as error:
        if not no_request or b'"model_not_found"' not in error.body:
            raise
        text = f"{no_request}, and no model"
        raise VerbError(text, hint=_LAST, body=error.body) from None


def _request(arguments: Arguments, name: str) -> int:
    def text(body: story.Fields) -> str:
        return story.request(fields(body.get("request")), time.time(), sys.stdout)

    return show(arguments, f"/supervisor/requests/{name}", text)


def _last(arguments: Arguments) -> int:
    if (body := told(arguments, "/supervisor/requests?last=1")) is None:
        return 0
    ended = objects(body.get("ended"))
    if not ended:
        raise VerbError("no request has ended yet", hint="exo-supervisor chat PROMPT")
    say(story.request(ended[0], time.time(), sys.stdout))
    return 0
