"""The log's lines: their shape, what they never hold, and what they cost the loop."""

import io
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import msgspec
import pytest
import structlog

from exo_supervisor.host import logs
from exo_supervisor.host.credentials import Secret

SECRET = "sk-very-secret"
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
named: structlog.typing.FilteringBoundLogger = structlog.get_logger("announce")


@pytest.fixture(autouse=True)
def undo() -> Iterator[None]:
    """Leave structlog and the root logger as they were found."""
    handlers = logging.getLogger().handlers.copy()
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


def printed(act: Callable[[], object], fmt: logs.Format = "json", level: str = "info") -> str:
    stream = io.BytesIO()
    writer = logs.configure(level, fmt, stream=stream)
    act()
    writer.close(10.0)
    return stream.getvalue().decode()


def logged(act: Callable[[], object], level: str = "info") -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in printed(act, level=level).splitlines()]


def test_a_line_is_one_json_object_with_its_head_first() -> None:
    (line,) = logged(lambda: log.info("node_seen", node="1.2.3.4:5", **{"from": "exo"}))
    assert list(line) == ["ts", "level", "event", "logger", "node", "from"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", str(line["ts"]))
    assert line["level"] == "info"
    assert line["event"] == "node_seen"
    assert line["logger"] == __name__
    assert (line["node"], line["from"]) == ("1.2.3.4:5", "exo")


def test_the_logger_is_the_module_without_the_package_or_the_name_given() -> None:
    source = "import structlog\nlog = structlog.get_logger()\ndef act(): log.info('acted')\n"
    module: dict[str, object] = {"__name__": "exo_supervisor.serve.ingress"}
    exec(source, module)  # noqa: S102 - a module of the package, as far as logs can see
    act = module["act"]
    assert callable(act)
    assert [line["logger"] for line in logged(act)] == ["serve.ingress"]
    assert [line["logger"] for line in logged(lambda: named.info("moved"))] == ["announce"]
    bound = logged(lambda: log.bind(logger="health").info("moved"))
    assert [line["logger"] for line in bound] == ["health"]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error", "critical"]),
        ("info", ["info", "warning", "error", "critical"]),
        ("warning", ["warning", "error", "critical"]),
        ("error", ["error", "critical"]),
    ],
)
def test_lines_below_the_level_are_not_written(level: str, expected: list[str]) -> None:
    def act() -> None:
        for method in (log.debug, log.info, log.warning, log.error, log.critical):
            method("said")

    assert [line["level"] for line in logged(act, level)] == expected


def test_secrets_are_not_written() -> None:
    def act() -> None:
        log.info("asked", authorization=SECRET, prompt=[SECRET], headers={"Token": SECRET})
        log.info("read", secret=Secret(SECRET, "env KEY"), fault=ValueError(SECRET))
        try:
            raise ValueError(SECRET)  # noqa: TRY301
        except ValueError:
            log.exception("crashed", local=SECRET.encode())

    text = printed(act)
    assert SECRET not in text
    lines = [msgspec.json.decode(line) for line in text.splitlines()]
    assert lines[0]["authorization"] == "[redacted]"
    assert lines[1]["secret"] == "Secret"
    assert lines[2]["level"] == "error"
    assert lines[2]["crash"][0].startswith("ValueError < ")


def test_a_fact_of_a_million_characters_is_cut() -> None:
    (line,) = logged(lambda: log.info("said", text="x" * 1_000_000, status=200))
    assert len(str(line["text"])) < 1100
    assert line["status"] == 200


def test_a_line_of_many_long_facts_keeps_its_head_and_its_short_facts() -> None:
    facts = {f"fact_{n}": "x" * 1000 for n in range(50)}
    text = printed(lambda: log.info("said", request_id="01J9", **facts))
    assert len(text) < 8192
    line = msgspec.json.decode(text)
    assert (line["event"], line["request_id"]) == ("said", "01J9")
    assert line["line_cut_from"] > 50_000
    assert "fact_1" not in line


def test_a_fact_cannot_replace_the_head() -> None:
    (line,) = logged(lambda: log.info("said", level="debug", ts="never"))
    assert line["level"] == "info"
    assert line["ts"] != "never"


def test_bound_context_is_written() -> None:
    def act() -> None:
        with structlog.contextvars.bound_contextvars(request_id="01J9"):
            log.info("said")
        log.info("said")

    assert [line.get("request_id") for line in logged(act)] == ["01J9", None]


def test_lost_lines_are_reported_in_the_logs_own_form() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "wb") as stream:
        writer = logs.configure("info", "json", stream=stream)
        for _ in range(20_000):
            log.info("request_done", text="x" * 500)
        stream.close()
        lines: list[dict[str, object]] = []
        while not lines or lines[-1]["event"] != "log_lines_dropped":
            lines.append(msgspec.json.decode(reader.readline()))
        writer.close(0.0)
    assert lines[-1]["level"] == "warning"
    assert lines[-1]["logger"] == "host.logs"
    assert 9_000 < msgspec.convert(lines[-1]["lines"], int) < 10_000


@pytest.mark.real_time
async def test_logging_blocks_no_loop() -> None:
    """Under blockbuster, lines that are written and lines that are dropped."""
    stream = io.BytesIO()
    writer = logs.configure("info", "json", stream=stream)
    for _ in range(15_000):
        log.info("request_done")
    await anyio.to_thread.run_sync(writer.close, 10.0)
    assert stream.getvalue()
    log.info("late")


def test_the_console_form_is_short_and_plain_without_a_terminal() -> None:
    text = printed(lambda: log.warning("shifted", why="two words", to="cloud", n=3), "console")
    assert re.fullmatch(
        rf"\d\d:\d\d:\d\d warning  shifted why='two words' to=cloud n=3 \({__name__}\)\n", text
    )


def test_names_from_the_network_cannot_paint_a_terminal() -> None:
    text = printed(lambda: log.warning("seen", a="\x1b[2J", b="\x9bü", c="\nd=1"), "console")
    assert text.isascii()
    assert "\x1b" not in text
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_a_terminal_gets_colour_unless_told_otherwise(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, *, coloured: bool
) -> None:
    for name, value in ({"TERM": "xterm"} | environ).items():
        monkeypatch.setenv(name, value)
    if "NO_COLOR" not in environ:
        monkeypatch.delenv("NO_COLOR", raising=False)
    master, terminal = os.openpty()
    with os.fdopen(master, "rb", buffering=0) as screen, os.fdopen(terminal, "wb") as stream:
        writer = logs.configure("info", "auto", stream=stream)
        log.warning("shifted", to="cloud")
        writer.close(10.0)
        text = screen.read(1000).decode()
    assert "shifted to=cloud" in text
    assert ("\x1b[33m" in text) == coloured


def test_auto_is_json_unless_a_terminal_reads() -> None:
    assert printed(lambda: log.info("said"), "auto").startswith('{"ts":')


def test_without_a_stream_standard_error_is_written(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stderr:
        kept, sys.stderr = sys.stderr, stderr
        try:
            writer = logs.configure("info", "json")
        finally:
            sys.stderr = kept
        log.info("said")
        writer.close(10.0)
    assert '"event":"said"' in (tmp_path / "log").read_text()


def test_libraries_warnings_come_without_their_data() -> None:
    def act() -> None:
        library = logging.getLogger("aiohttp.server")
        library.info("unheard")
        library.warning("bad request from %s", SECRET)
        try:
            raise ValueError(SECRET)  # noqa: TRY301
        except ValueError:
            library.exception("Error handling request")
        future = f"Task exception was never retrieved\nfuture: <Task exception={SECRET}>"
        logging.getLogger("asyncio").critical(future)
        logging.getLogger("zeroconf").error(ValueError(SECRET))
        logging.getLogger("of its own").log(logging.WARNING + 5, "worse")
        logging.getLogger("of its own").log(logging.CRITICAL + 10, "worst")

    text = printed(act)
    assert SECRET not in text
    lines = [msgspec.json.decode(line) for line in text.splitlines()]
    assert [(line["logger"], line["level"], line["message"]) for line in lines] == [
        ("aiohttp.server", "warning", "bad request from %s"),
        ("aiohttp.server", "error", "Error handling request"),
        ("asyncio", "critical", "Task exception was never retrieved"),
        ("zeroconf", "error", "ValueError"),
        ("of its own", "warning", "worse"),
        ("of its own", "critical", "worst"),
    ]
    assert lines[1]["fault"] == "ValueError"
    assert {line["event"] for line in lines} == {"library_warned"}


def test_a_second_configuration_takes_over_from_the_first() -> None:
    assert len(logged(lambda: log.info("said"))) == 1
    lines = logged(lambda: logging.getLogger("aiohttp").warning("once"))
    assert len(lines) == 1


@pytest.mark.parametrize("mark", ["\u009b", "\u202e", "\u007f", "\u2066", "\u200b", "\ufeff"])
def test_what_a_terminal_obeys_or_hides_is_escaped_and_read_back_as_it_was(mark: str) -> None:
    out = io.BytesIO()
    writer = logs.configure("info", "json", stream=out)
    log.info("seen", name=f"a{mark}b\U0001f600")
    writer.close(5.0)
    assert mark.encode() not in out.getvalue()
    assert msgspec.json.decode(out.getvalue())["name"] == f"a{mark}b\U0001f600"
