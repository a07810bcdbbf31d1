"""What can go wrong between us and a server, and the one place that names it."""

import errno
import os
import socket
import ssl
from enum import Enum

from exo_supervisor.errors import SupervisorError


class NetworkFault(Enum):
    """The vocabulary of network faults; each says something else about what to do."""

    BAD_URL = "bad_url"
    DNS = "dns"
    REFUSED = "refused"
    NO_ROUTE = "no_route"
    BARRED = "barred"
    """No address of the host may be connected to; the error's detail says why, in one word."""
    PROXY = "proxy"
    TLS = "tls"
    TIMEOUT = "timeout"
    RESET = "reset"
    PAYLOAD = "payload"
    """What came is not HTTP, or not all that was announced."""
    EXHAUSTED = "exhausted"
    """This process has no descriptor left: no server is to blame."""


class Stage(Enum):
    """How far a request had come."""

    CONNECT = "connect"
    HEAD = "head"
    BODY = "body"


class HttpError(SupervisorError):
    """A request got no whole answer; `detail` repeats nothing that was sent or received."""

    def __init__(self, fault: NetworkFault, stage: Stage, detail: str = "") -> None:
        super().__init__(detail or fault.value)
        self.fault = fault
        self.stage = stage
        self.detail = detail


_ERRNOS = {
    errno.EMFILE: NetworkFault.EXHAUSTED,
    errno.ENFILE: NetworkFault.EXHAUSTED,
    errno.ECONNREFUSED: NetworkFault.REFUSED,
    errno.ECONNRESET: NetworkFault.RESET,
    errno.ECONNABORTED: NetworkFault.RESET,
    errno.EPIPE: NetworkFault.RESET,
    errno.ETIMEDOUT: NetworkFault.TIMEOUT,
}


def name_fault(error: BaseException) -> NetworkFault:
    """Name an exception of a look-up, a connection or a handshake.

    asyncio and uvloop raise different classes for the same trouble, and not all fill in a number.
    """
    match error:
        case socket.gaierror():
            return NetworkFault.EXHAUSTED if _is_exhausted() else NetworkFault.DNS
        case UnicodeError():
            return NetworkFault.DNS
        case ssl.SSLError() | ssl.CertificateError():
            return NetworkFault.TLS
        case OSError(errno=int(number)) if number in _ERRNOS:
            return _ERRNOS[number]
        case ConnectionRefusedError():
            return NetworkFault.REFUSED
        case TimeoutError():
            return NetworkFault.TIMEOUT
        case ConnectionError():
            return NetworkFault.RESET
        case _:
            return NetworkFault.EXHAUSTED if _is_exhausted() else NetworkFault.NO_ROUTE


def _is_exhausted() -> bool:
    """Look for what getaddrinfo hides where it could not open its own files.

    It fails with EAI_AGAIN then, or with whatever number is left over, EBUSY with glibc 2.36.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as refused:
        return refused.errno in (errno.EMFILE, errno.ENFILE)
    return False
