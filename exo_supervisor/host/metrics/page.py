"""The counts, and the house as it stands, in the text that Prometheus reads.

Imported at the first scrape: prometheus_client takes 0.15 s and 14 MB, and few houses ask.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from exo_supervisor import __version__
from exo_supervisor.core.books.amount import PICO
from exo_supervisor.core.machine import Machine
from exo_supervisor.host.metrics.counts import MOST_SERIES, Counter, Histogram
from exo_supervisor.views.booked import LedgerSeen
from exo_supervisor.views.status import rungs
from exo_supervisor.views.verdict import load_of

PREFIX = "exo_supervisor_"
STATES = {"closed": 0, "half_open": 1, "open": 2}


class Page(Collector):
    """What `/metrics` answers; `failures` are those of the sinks, by their names."""

    def __init__(
        self,
        machine: Machine,
        counters: Sequence[Counter],
        histograms: Sequence[Histogram],
        failures: Mapping[str, int],
        booked: Callable[[], LedgerSeen | None],
        clock: Callable[[], float],
    ) -> None:
        self._machine, self._failures, self._clock = machine, failures, clock
        self._booked = booked
        self._counters, self._histograms = counters, histograms
        self._process = ProcessCollector(registry=None)
        self._of_process: list[Metric] = []
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def look(self) -> None:
        """Read what the kernel knows of this process; files are read, so do it in a thread."""
        self._of_process = list(self._process.collect())

    def write(self, accept: str) -> tuple[bytes, str]:
        """Return text and content type: OpenMetrics where a scraper asks for it, else the older."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Metric]:
        """Yield everything there is to tell, as the registry asks for it."""
        yield InfoMetricFamily(f"{PREFIX}build", "Who answers.", {"version": __version__})
        for counter in self._counters:
            family = CounterMetricFamily(PREFIX + counter.name, counter.text, labels=counter.labels)
            for labels, figure in counter.sums.items():
                family.add_metric(labels, figure)
            yield family
        for each in self._histograms:
            spread = HistogramMetricFamily(PREFIX + each.name, each.text, labels=each.labels)
            for labels, cells in each.cells.items():
                spread.add_metric(labels, list(each.buckets(cells)), cells.total)
            yield spread
        yield from self._house()
        yield from self._of_process

    def _house(self) -> Iterator[Metric]:
        machine, now = self._machine, self._clock()
        load = load_of(machine)
        ready = machine.looked() and machine.tables.can_serve(now)
        yield _gauge("ready", "1: a target of the routing's order can serve.", float(ready))
        yield _gauge("requests_running", "Requests that a target works on.", load.running)
        yield _gauge("requests_waiting", "Requests that wait for one.", load.waiting)
        yield _gauge("uptime_seconds", "Since the start.", now - machine.started)
        nodes = _family("nodes", "Exo nodes by how far they are.", "rung")
        for rung, count in rungs(machine).items():
            nodes.add_metric((rung,), count)
        yield nodes
        yield self._breakers()
        providers = _family("provider_up", "1: a provider stands by.", "provider")
        for name, provider in machine.tables.clouds.providers.items():
            providers.add_metric((name,), float(provider.stands_by(now)))
        yield providers
        yield from self._budgets()
        if (ledger := self._booked()) is not None:
            stopped = float(ledger.stopped is not None)
            yield _gauge("ledger_stopped", "1: nothing is booked, and the log says why.", stopped)
            text = "Requests that wait to be booked while nothing is, or never will be."
            yield _gauge("ledger_unbooked", text, ledger.unbooked)
        failures = CounterMetricFamily(
            f"{PREFIX}sink_failures", "What a taker of records failed at.", labels=("sink",)
        )
        for sink, count in self._failures.items():
            failures.add_metric((sink,), count)
        yield failures

    def _budgets(self) -> Iterator[Metric]:
        labels = ("scope", "name", "span")
        limits, spent, held = (
            GaugeMetricFamily(f"{PREFIX}budget_{what}", f"{text}, in its currency.", labels=labels)
            for what, text in (
                ("limit", "What clouds may cost"), ("spent", "What of a budget is spent"),
                ("held", "What of a budget attempts under way hold"),
            )
        )  # fmt: skip
        for line, limit, account in self._machine.tables.budgets.each():
            row = line.scope, line.name, line.span
            limits.add_metric(row, limit / PICO)
            spent.add_metric(row, account.spent / PICO)
            held.add_metric(row, account.held / PICO)
        yield from (limits, spent, held)

    def _breakers(self) -> Metric:
        family = _family("breaker_state", "0 closed, 1 half open, 2 open: each target's.", "target")
        tables = self._machine.tables
        targets = [*tables.clouds.providers, *tables.registry.nodes]
        for target in targets[:MOST_SERIES]:
            cell = tables.breakers.get((target, None))
            family.add_metric((target,), 0 if cell is None else STATES[cell.state()])
        return family


def _gauge(name: str, text: str, figure: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=figure)


def _family(name: str, text: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, labels=(label,))
