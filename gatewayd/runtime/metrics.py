"""Count events, and serve the numbers to Prometheus if the config asks for it. Counting is always done, since it costs little.

The number of labels is bounded: accounts and operators have labels of their own only while there are few of them.
"""

from __future__ import annotations

import socket
import socketserver
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import prometheus_client
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gatewayd.errors import AuthError, ConfigError, GatewaydError, LeaseLost, PermanentError, PluginError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from gatewayd.api.delivery import DeliveryState
    from gatewayd.api.directory import DirectoryHealth
    from gatewayd.api.health import AccountHealth, Lengths
    from gatewayd.api.tally import Tally

__all__ = ["Metrics", "MetricsServer"]

#: With more accounts or operators than this, they have no labels of their own.
_LABELS = 100
_LAG = (0.05, 0.1, 0.2, 0.4, 1, 2, 5, 15, 60, 300, 900, 3600)
_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800)
#: Derived classes first. A plugin's error counts as the class that it derives from, so that no plugin adds labels.
_ERRORS = (LeaseLost, AuthError, ConfigError, PermanentError, PluginError, TransientError, GatewaydError)
#: Seconds that a client may take for each step: well below the time in which the daemon must stop.
_TIMEOUT = 2.0
#: Conditions of accounts that nothing is imported from.
_NOT_IMPORTED = {"sending", "disabled"}


@dataclass(frozen=True, slots=True)
class _State:
    """The latest state; it is replaced as a whole, so that a scrape never sees half of it."""

    healths: Sequence[AccountHealth] = ()
    waiting: Mapping[str, tuple[int, datetime]] = field(default_factory=dict)
    queued: Mapping[str, int] = field(default_factory=dict)
    undelivered: Mapping[str, int] = field(default_factory=dict)
    stuck: Mapping[str, int] = field(default_factory=dict)


class Metrics(Collector):
    """All numbers of one daemon. Every method may be called from any thread."""

    def __init__(self, *, version: str) -> None:
        self._since = datetime.now(UTC)
        self._state = _State()
        self._secret_ends: date | None = None
        self._directories: Sequence[DirectoryHealth] = ()
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = prometheus_client.CollectorRegistry()
        self._registry.register(self)
        self._mails = self._counter("mails", "Keys that came to an end, by outcome; deferred ones are tried again.", "outcome")
        self._bytes = self._counter("bytes", "Raw bytes of mail filed.")
        self._visits = self._counter("visits", "Visits, by result.", "result")
        self._visit_seconds = self._histogram("visit_seconds", "How long visits took.", _SECONDS)
        self._faults = self._counter("faults", "What failed visits and sessions raised, by class of error.", "class")
        self._filing_faults = self._counter("filing_faults", "Faults of filings, by who says so.", "by")
        self._deliveries = self._counter("deliveries", "Tries of deliveries, by the state after it.", "state")
        self._lag = self._histogram("lag_seconds", "From arrival, as the server says, to filed; without backlog.", _LAG)
        self._workers = prometheus_client.Gauge("gatewayd_workers", "Worker processes.", registry=self._registry)
        self._deaths = self._counter("worker_deaths", "Worker processes that had to be replaced.")
        self._writable = prometheus_client.Gauge(
            "gatewayd_store_writable", "1 while the store can be written, else 0.", registry=self._registry
        )
        self._writable.set(1)
        self._dropped = self._counter("events_dropped", "Events that observers were too slow for.")
        info = prometheus_client.Gauge("gatewayd_build_info", "The version that runs.", ["version"], registry=self._registry)
        info.labels(version).set(1)

    def _counter(self, name: str, text: str, *labels: str) -> prometheus_client.Counter:
        return prometheus_client.Counter(f"gatewayd_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(f"gatewayd_{name}", text, registry=self._registry, buckets=buckets)

    # --- counting ---------------------------------------------------------------------------------------------------

    def filed(self, size: int, *, lag: float | None) -> None:
        """Count a mail of ``size`` bytes that was filed ``lag`` seconds after its arrival; None if that does not count."""
        self._mails.labels("filed").inc()
        self._bytes.inc(size)
        if lag is not None:
            self._lag.observe(max(0.0, lag))

    def ended(self, tally: Tally) -> None:
        """Count the keys of a visit by outcome. Filed ones are counted already."""
        self._mails.labels("duplicate").inc(tally.duplicate)
        self._mails.labels("not admitted").inc(tally.not_admitted)
        self._mails.labels("vanished").inc(tally.vanished)
        self._mails.labels("deferred").inc(tally.deferred)

    def visited(self, result: Literal["done", "failed", "held"], *, seconds: float) -> None:
        """Count a visit; ``held``: another daemon held the account."""
        self._visits.labels(result).inc()
        self._visit_seconds.observe(seconds)

    def fault(self, error: BaseException) -> None:
        """Count an error of a visit or a session by its class."""
        self._faults.labels(next((one.__name__ for one in _ERRORS if isinstance(error, one)), "other")).inc()

    def filing_fault(self, by: str) -> None:
        """Count a fault of a filing; ``by`` is a matcher's kind, directory, parser or config."""
        self._filing_faults.labels(by).inc()

    def settled(self, state: DeliveryState) -> None:
        """Count a try of a delivery; ``waiting``: it is tried again."""
        self._deliveries.labels(state).inc()

    def workers(self, number: int) -> None:
        """Set the number of worker processes."""
        self._workers.set(number)

    def store(self, *, writable: bool) -> None:
        """Set whether the store can be written."""
        self._writable.set(writable)

    def worker_died(self) -> None:
        """Count a worker process that had to be replaced."""
        self._deaths.inc()

    def dropped(self, events: int) -> None:
        """Count events that observers never get."""
        self._dropped.inc(events)

    def directories(self, healths: Sequence[DirectoryHealth]) -> None:
        """Set the health of operators' directories."""
        self._directories = tuple(healths)

    def secret(self, day: date | None) -> None:
        """Set the day on which the first secret ends; None if nobody knows."""
        self._secret_ends = day

    def told(self, healths: Sequence[AccountHealth], lengths: Lengths) -> None:
        """Set the health of accounts and the lengths of queues, in place of those that were set before."""
        queued, undelivered, stuck = dict(lengths.queued), dict(lengths.undelivered), dict(lengths.stuck)
        self._state = _State(tuple(healths), dict(lengths.waiting), queued, undelivered, stuck)

    # --- being read -------------------------------------------------------------------------------------------------

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges, by the state that was set last. Ages also grow between two states."""
        state, now = self._state, datetime.now(UTC)
        yield _labelled(
            "accounts", "Accounts of this daemon, by condition.", "condition", Counter(one.condition for one in state.healths)
        )
        checks = [one.checked_at or self._since for one in state.healths if one.condition not in _NOT_IMPORTED]
        age = (now - min(checks)).total_seconds() if checks else 0.0
        yield _single("oldest_check_seconds", "Age of the oldest last proven check of all accounts that import.", age)
        visits = [one.working_since for one in state.healths if one.working_since]
        visit = max(0.0, (now - min(visits)).total_seconds()) if visits else 0.0
        yield _single("oldest_visit_seconds", "How long ago the oldest visit began that goes on.", visit)
        if (ends := self._secret_ends) is not None:
            yield _single("secret_days", "Days until the first secret or certificate ends.", (ends - now.date()).days)
        waiting = {name: number for name, (number, _) in state.waiting.items()}
        yield _single("waiting", "Keys that wait to be fetched.", sum(waiting.values()))
        yield _single(
            "waiting_worst", "Keys that wait to be fetched, of the account with most of them.", max([0, *waiting.values()])
        )
        oldest = min((since for _, since in state.waiting.values()), default=now)
        yield _single("oldest_waiting_seconds", "How long ago the oldest waiting key was listed.", (now - oldest).total_seconds())
        few = waiting if max(len(state.healths), len(waiting)) <= _LABELS else {}
        yield _labelled("account_waiting", f"Keys that wait, by account; none with more than {_LABELS} accounts.", "account", few)
        yield _by_operator("queue_length", "Filings in error queues, by operator.", state.queued)
        yield _by_operator("outbox_waiting", "Deliveries that wait, by operator.", state.undelivered)
        yield _by_operator("outbox_stuck", "Deliveries that need a person (parked or bounced), by operator.", state.stuck)
        yield from self._of_directories(self._directories, now)

    def _of_directories(self, told: Sequence[DirectoryHealth], now: datetime) -> Iterator[GaugeMetricFamily]:
        yield _by_condition("directories", "Operators' directories, by condition.", (one.condition for one in told))
        age = (now - min(one.loaded_at or self._since for one in told)).total_seconds() if told else 0.0
        yield _single("oldest_load_seconds", "Age of the oldest last good load of all directories.", age)
        rows = {one.operator: sum(count for _, count in one.rows) for one in told}
        yield _by_operator("directory_rows", "Rows that directories hold, by operator.", rows)
        faults = {one.operator: len(one.faults) for one in told}
        yield _by_operator("directory_faults", "Faults of directories, such as rows that are left out, by operator.", faults)

    def text(self) -> str:
        """Return all numbers in Prometheus' text format."""
        return prometheus_client.generate_latest(self._registry).decode()

    def serve(self, host: str, port: int) -> MetricsServer:
        """Listen on ``host`` and ``port``; the caller provides a thread for ``MetricsServer.run``.

        Raises ConfigError if the address can't be bound.
        """
        try:
            return MetricsServer(host, port, self._registry)
        except OSError as error:
            advice = "Give another host or port, or see what listens there already."
            raise ConfigError(f"metrics can't be served on {host}:{port}: {error.strerror}", advice=advice) from error


def _single(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"gatewayd_{name}", text, value=value)


def _labelled(name: str, text: str, label: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"gatewayd_{name}", text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def _by_condition(name: str, text: str, conditions: Iterable[str]) -> GaugeMetricFamily:
    return _labelled(name, text, "condition", Counter(conditions))


def _by_operator(name: str, text: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    few = values if len(values) <= _LABELS else {"": sum(values.values())}
    return _labelled(name, text, "operator", few)


class MetricsServer:
    """Answers requests with the numbers, one at a time, in the thread that calls ``run``."""

    def __init__(self, host: str, port: int, registry: prometheus_client.CollectorRegistry) -> None:
        family = _Http6 if ":" in host else _Http
        self._http = family((host, port), _Handler)
        self._http.set_app(prometheus_client.make_wsgi_app(registry))
        self._closed = self._running = False
        #: The port it listens on.
        self.port: int = self._http.server_port

    def run(self) -> None:
        """Answer requests until ``close``."""
        self._running = True
        try:
            while not self._closed:
                self._http.handle_request()
        finally:
            self._http.server_close()

    def close(self) -> None:
        """Let ``run`` end at once. From any thread; also if it never ran; may be called twice."""
        self._closed = True
        try:
            # This wakes ``run``, which waits for a request.
            self._http.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
        if not self._running:
            self._http.server_close()


class _Http(WSGIServer):
    request_queue_size = 16

    def server_bind(self) -> None:
        # The method of HTTPServer would look this host's name up.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """Do nothing: a client that was too slow, or went away, may ask again."""


class _Http6(_Http):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = _TIMEOUT

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's name
        """Log nothing: there would be a line for every scrape."""
