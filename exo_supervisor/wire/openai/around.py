"""What stands beside the choices of an answer in OpenAI's dialect, streamed or whole."""

from functools import lru_cache

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.piece import MAX_NAME_BYTES, NULL, read_name
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.openai.chunk import TOO_MUCH_BESIDE, Around

_read_model = lru_cache(maxsize=256)(read_name)
"""Few models answer again and again; a name that is too long must not stay here."""


class AroundReader(Reader):
    """Reads an answer that tells of itself beside its choices: of its model, its id, its usage."""

    __slots__ = ()

    def read_around(self, around: Around, /) -> None:
        """Take in what stands beside the choices."""
        name = bytes(around.get("model", NULL))
        told = _read_model(name) if len(name) <= MAX_NAME_BYTES else None
        self.read_model(told, named=name[:1] == b'"' and name != b'""')
        self.read_id(around.get("id", NULL))
        self.read_usage(around.get("usage", NULL))
        if not self.traits.made_up and not self.extras.note(around):
            self.fail(Fault.OVERSIZED, TOO_MUCH_BESIDE)
