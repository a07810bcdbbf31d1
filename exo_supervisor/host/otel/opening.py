"""Whether there is a collector to tell, and whether we can: the variables `OTEL_*` alone decide."""

from collections.abc import Callable, Mapping
from time import time_ns
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from exo_supervisor.host.otel.telemetry import Telemetry

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("otel")

SIGNALS = ("TRACES", "METRICS")


def open_telemetry(
    environ: Mapping[str, str], wall: Callable[[], int] = time_ns
) -> "Telemetry | None":
    """Begin to tell a collector, where one is named; what is in the way is logged once."""
    told = [signal for signal in SIGNALS if _is_wanted(signal, environ)]
    if not told or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    for signal in told:
        protocol = _of(signal, "OTEL_EXPORTER_OTLP_{}PROTOCOL", environ) or "http/protobuf"
        if protocol != "http/protobuf":
            log.warning(
                "otel_off", why=f"the protocol {protocol!r} is not spoken here",
                advice="set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf, or unset it",
            )  # fmt: skip
            return None
    try:
        from exo_supervisor.host.otel.telemetry import Telemetry  # noqa: PLC0415 -- an extra
    except ImportError:
        log.warning(
            "otel_off", why="a collector is named, and the extra is not installed",
            advice="pip install 'exo-supervisor[otel]', or unset OTEL_EXPORTER_OTLP_ENDPOINT",
        )  # fmt: skip
        return None
    opted = environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(",")
    old = "gen_ai/dup" in map(str.strip, opted)
    try:
        telemetry = Telemetry(
            wall, traces="TRACES" in told, metrics="METRICS" in told, old_names=old
        )
    except ValueError as wrong:
        log.warning("otel_off", why=str(wrong)[:200], advice="one of the OTEL_* variables is wrong")
        return None
    log.info("otel_started", signals=[signal.lower() for signal in told])
    return telemetry


def _is_wanted(signal: str, environ: Mapping[str, str]) -> bool:
    exporter = environ.get(f"OTEL_{signal}_EXPORTER", "otlp").strip()
    return exporter == "otlp" and bool(_of(signal, "OTEL_EXPORTER_OTLP_{}ENDPOINT", environ))


def _of(signal: str, name: str, environ: Mapping[str, str]) -> str:
    """Return a variable of a signal's own, or else the one of all signals."""
    return (environ.get(name.format(f"{signal}_")) or environ.get(name.format(""), "")).strip()
