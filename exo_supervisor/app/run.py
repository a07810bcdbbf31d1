"""`exo-supervisor run`: meets the machine, then serves until it is told to stop."""

import gc
import os
from contextlib import ExitStack, suppress
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM

import anyio
import structlog

from exo_supervisor.app import files
from exo_supervisor.app.border import user_ids
from exo_supervisor.app.inputs import Inputs
from exo_supervisor.app.policy import policy_of
from exo_supervisor.app.service import serve
from exo_supervisor.app.who import client_tokens, who_of
from exo_supervisor.config import where
from exo_supervisor.config.read import Settings
from exo_supervisor.config.schema import Config
from exo_supervisor.errors import StartError
from exo_supervisor.host import descriptors, limits, logs, systemd, unix
from exo_supervisor.host.otel.opening import open_telemetry
from exo_supervisor.host.tcp import open_tcp
from exo_supervisor.runtime.loop import loop_options
from exo_supervisor.runtime.sinks import Sink
from exo_supervisor.runtime.supervise import describe_crash

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")

FAILED = 1
FILES = 65_536
"""File descriptors that we ask for: every client and every target takes one."""
YOUNG = 5_000
"""New objects between two looks of the collector: a connection leaves a few, a request none."""


def run(named: str | None, socket: str | None) -> int:
    """Run the service; the exit code says how it ended. Raises ConfigError and StartError.

    `named` is the configuration's file, `socket` the path to listen at, where somebody said so.
    """
    descriptors.fill_standard()
    settings = files.load(named, socket, os.environ)
    config = settings.config
    found = files.keys(config, os.environ)
    token, tokens = files.token(config, os.environ), client_tokens(config, os.environ)
    with ExitStack() as closing:
        sinks = _sinks(config, closing)
        user_ids(config.discovery.loopback_users)
        who_of(config, policy_of(config, found.why_off).clients)
        admin_group = unix.group_id_of(config.server.admin_group, "server.admin_group")
        tcp = None if token is None else (closing.enter_context(open_tcp(config.server.tcp)), token)
        sockets = _sockets(settings)
        for each in sockets:
            closing.callback(each.close)
        state = where.state_directory(os.environ)
        return _run_loop(
            Inputs(
                config=config,
                file=settings.file,
                sockets=[each.socket for each in sockets],
                keys=found.keys,
                why_off=found.why_off,
                missing=found.missing,
                state=None if state is None else Path(state),
                tcp=tcp,
                admin_group=admin_group,
                client_tokens=tokens,
                origins=settings.origins,
                sinks=sinks,
            )
        )


def _sinks(config: Config, closing: ExitStack) -> list[Sink]:
    """Begin the log, and the telemetry if the environment asks for it."""
    lines = logs.configure(config.log.level, config.log.format)
    closing.callback(lines.close, logs.LAST_LINES)
    for path, why in where.hidden_files(os.environ).items():
        log.debug("optional_file_unreadable", path=path, why=why)
    telemetry = open_telemetry(os.environ)
    if telemetry is None:
        return [lines]
    closing.callback(telemetry.close, logs.LAST_LINES)
    return [lines, telemetry]


def _run_loop(given: Inputs) -> int:
    limits.raise_file_limit(FILES)
    gc.freeze()  # what the start has made stays for good: the collector need not look at it
    gc.set_threshold(YOUNG)
    try:
        anyio.run(_serve, given, backend_options=loop_options())
    except ExceptionGroup as crashes:  # the conductor's, or the listener's
        log.error("service_failed", crash=describe_crash(crashes))  # noqa: TRY400 -- a text may leak
        return FAILED
    return 0


async def _serve(given: Inputs) -> None:
    with anyio.open_signal_receiver(SIGINT, SIGTERM, SIGHUP) as signals:
        async with anyio.create_task_group() as tasks:
            asked = anyio.Event()

            async def hear() -> None:
                async for signal in signals:
                    if signal == SIGHUP and not attended:
                        log.warning("not_reloadable_yet", advice="restart the service instead")
                        continue
                    if asked.is_set():  # the second one hurries
                        log.warning("drain_cut")
                        tasks.cancel_scope.cancel()
                    asked.set()

            attended = _attended()
            tasks.start_soon(hear)
            await serve(given, asked.wait)
            tasks.cancel_scope.cancel()


def _attended() -> bool:
    """Tell whether a terminal is ours: then a hangup means that the person has left."""
    for descriptor in (0, 1, 2):
        with suppress(OSError):
            if os.isatty(descriptor):
                return True
    return False


def _sockets(settings: Settings) -> list[unix.ListeningSocket]:
    """Take the sockets that systemd passed, else make our own."""
    passed = systemd.passed_sockets()
    if passed:
        return [unix.adopt(each) for each in passed]
    server = settings.config.server
    path = where.own_socket(server.socket, os.environ)
    if path is None:
        raise StartError(
            "there is no place for the socket: neither XDG_RUNTIME_DIR nor HOME is set; "
            "try: exo-supervisor run --socket PATH"
        )
    if path == where.user_socket(os.environ):
        unix.make_base(path)
    return [unix.open_socket(path, mode=int(server.socket_mode, 8), group=server.socket_group)]
