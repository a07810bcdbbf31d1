"""What the head of a dispatched request asks for, read once for all requests that share it."""

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.core.policy import DEFAULT_CLIENT, ClientRule
from exo_supervisor.http.head import Head
from exo_supervisor.serve.encodings import read_codings
from exo_supervisor.serve.profiles import operation_for
from exo_supervisor.serve.request_headers import PLAIN, read_headers


class DispatchHead:
    """A head, the rule of whoever asks, and what is known to be `wrong` about it.

    `headers` and `codings` are there once it `is_read`.
    """

    __slots__ = ("codings", "head", "headers", "is_read", "operation", "rule", "wrong")

    def __init__(
        self, head: Head, wrong: Refusal | None = None, rule: ClientRule = DEFAULT_CLIENT
    ) -> None:
        self.head, self.wrong, self.rule = head, wrong, rule
        self.operation = operation_for(head, rule.profile)
        self.headers, self.codings = PLAIN, list[str]()
        self.is_read = False

    def read(self) -> None:
        """Read its headers. Raises BadRequestError."""
        head = self.head
        self.headers = read_headers(head.headers, head.repeated)
        self.codings = read_codings(head.headers.get("content-encoding", ""))
        self.is_read = True
