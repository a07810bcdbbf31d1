"""The verb `hud` as a process: it prints one address, serves it, and ends by Ctrl-C."""

import json
import signal
import sys
from subprocess import PIPE, Popen
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from exo_supervisor.cli.errors import UNREACHABLE
from tests.cli.conftest import TIMEOUT, Service

pytestmark = pytest.mark.real_time
VERB = [sys.executable, "-m", "exo_supervisor", "hud"]


@pytest.mark.parametrize("as_json", [False, True])
def test_the_address_leads_to_the_service_while_it_runs(service: Service, *, as_json: bool) -> None:
    service.says("GET /hud", {"the": "page"})
    words = [*VERB, "--socket", str(service.path), *(["--json"] if as_json else [])]
    with Popen(words, stdout=PIPE, stderr=PIPE, text=True) as process:  # noqa: S603 - our own words
        assert process.stdout is not None
        line = process.stdout.readline()
        address = json.loads(line)["url"] if as_json else line.strip()
        page, ticket = address.split("#t=")
        assert page.startswith("http://127.")
        assert len(ticket) > 40
        with urlopen(page, timeout=TIMEOUT) as answer:  # noqa: S310 - http, see above
            assert json.load(answer) == {"the": "page"}
        with pytest.raises(HTTPError) as refused:
            urlopen(page.replace("/hud", "/supervisor/status"), timeout=TIMEOUT)  # noqa: S310 - as above
        assert refused.value.code == 401
        refused.value.close()
        assert [each.path for each in service.seen] == ["/hud"]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT)
        assert (process.returncode, "Traceback" in err) == (-signal.SIGINT, False)
        assert "Ctrl-C ends it" in err
        assert ticket not in err


def test_without_a_service_it_says_so(tmp_path: object) -> None:
    words = [*VERB, "--socket", f"{tmp_path}/none"]
    with Popen(words, stdout=PIPE, stderr=PIPE, text=True) as process:  # noqa: S603 - our own words
        out, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, out) == (UNREACHABLE, "")
    assert "no service answers" in err
