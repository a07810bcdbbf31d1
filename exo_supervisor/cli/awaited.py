"""Why an answer has not begun: what the service tells of the model and of the request."""

from contextlib import suppress

from exo_supervisor.cli.errors import VerbError
from exo_supervisor.cli.http import view
from exo_supervisor.cli.json_view import texts, word
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.tables import progress
from exo_supervisor.cli.term import span
from exo_supervisor.client.chat import Chat
from exo_supervisor.client.json_object import Fields, count, fields, objects

_THOUSAND = 1000
_WAITS = {
    "first_look": "the service still looks at its nodes and providers",
    "model": "the model is being placed",
    "turn": "a free place, others are served",
}


def awaited(arguments: Arguments, model: str, reply: Chat) -> str:
    """Say what the wait is for, and what ends it."""
    limit = f"at most {span(arguments.deadline)}" if arguments.deadline else "Ctrl-C ends it"
    if reply.reasoning:
        return f"-- waiting: the model reasons ({limit})"
    what = ""
    for told in (_of_request, _of_model):
        with suppress(VerbError, OSError):
            what = what or told(arguments, model)
    return f"-- waiting: {what or 'the first content'} ({limit})"


def _of_request(arguments: Arguments, model: str) -> str:
    """Say how far the one request for this model is; of several, ours cannot be told."""
    under_way = objects(view(arguments, "/supervisor/requests").get("requests"))
    mine = [each for each in under_way if each.get("model") == model]
    if len(mine) != 1:
        return ""
    read = fields(mine[0].get("prefill"))
    done, total = count(read.get("done")), count(read.get("total"))
    if total > 0:
        return f"prefill, {_of(done, total)} tokens at {word(mine[0].get('target'))}"
    why = word(mine[0].get("why"))
    placing = texts(_row_of(arguments, model).get("why")) if why == "model" else []
    return ", ".join([_WAITS.get(why, ""), *placing])


def _of(done: int, total: int) -> str:
    if total < 10 * _THOUSAND:
        return f"{done} of {total}"
    return f"{done // _THOUSAND} of {total // _THOUSAND} thousand"


def _of_model(arguments: Arguments, model: str) -> str:
    """Say the state of a model that is not ready, and how far it is."""
    row = _row_of(arguments, model)
    if row.get("state") == "ready":
        return ""
    how_far = [text for where in objects(row.get("where")) if (text := progress(where))]
    return ", ".join([*texts(row.get("state")), *how_far[:1]])


def _row_of(arguments: Arguments, model: str) -> Fields:
    """Fetch what the service knows of a model, which may be nothing."""
    known = objects(view(arguments, "/supervisor/models").get("models"))
    return next((each for each in known if each.get("id") == model), Fields())
