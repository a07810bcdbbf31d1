"""Each exception has one name, whichever loop raises it."""

import errno
import os
import resource
import socket
import ssl
import sys
import time

import pytest

from exo_supervisor.http.clock import boottime
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage, name_fault


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ssl.SSLError(1, "bad record"), NetworkFault.TLS),
        (ssl.SSLCertVerificationError(1, "self-signed certificate"), NetworkFault.TLS),
        (socket.gaierror(-2, "unknown"), NetworkFault.DNS),
        (UnicodeError(), NetworkFault.DNS),
        (TimeoutError(), NetworkFault.TIMEOUT),
        (OSError(errno.ETIMEDOUT, ""), NetworkFault.TIMEOUT),
        (ConnectionResetError(), NetworkFault.RESET),
        (BrokenPipeError(errno.EPIPE, ""), NetworkFault.RESET),
        (ConnectionRefusedError(), NetworkFault.REFUSED),
        (OSError(errno.ECONNREFUSED, ""), NetworkFault.REFUSED),
        (OSError(errno.EMFILE, ""), NetworkFault.EXHAUSTED),
        (OSError(errno.ENFILE, ""), NetworkFault.EXHAUSTED),
        (OSError(errno.ENETUNREACH, ""), NetworkFault.NO_ROUTE),
        (OSError(), NetworkFault.NO_ROUTE),
        (ValueError(), NetworkFault.NO_ROUTE),
    ],
)
def test_names(error: Exception, fault: NetworkFault) -> None:
    assert name_fault(error) is fault


def test_a_look_up_that_found_no_descriptor_is_our_own_want() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        assert name_fault(socket.gaierror(-2, "unknown")) is NetworkFault.EXHAUSTED
        assert name_fault(OSError(errno.EBUSY, "as glibc has it")) is NetworkFault.EXHAUSTED
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_error_says_its_fault_where_it_has_no_better_words() -> None:
    assert str(HttpError(NetworkFault.RESET, Stage.BODY)) == "reset"
    assert str(HttpError(NetworkFault.PROXY, Stage.CONNECT, "the proxy")) == "the proxy"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no clock counts sleep")
def test_the_clock_is_the_one_that_counts_sleep() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= boottime() <= time.clock_gettime(time.CLOCK_BOOTTIME)
