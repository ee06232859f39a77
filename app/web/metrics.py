"""`/metrics`: figures for Prometheus, in its own text or in OpenMetrics, for whoever has a token with the scope `metrics:read`."""

from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from http import HTTPStatus

from flask import Flask, Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from app import __version__
from app.ports.accounts import Scope
from app.ports.limiters import Breaker, Usage
from app.ports.measures import BOUNDS, Counted, Took
from app.sync.panel import accounts
from app.sync.panel.measuring import Figures, figures
from app.web.people import People


def add(app: Flask, people: People) -> None:
    """Add the page."""

    @app.get("/metrics", provide_automatic_options=False)
    def metrics() -> Response:
        if not _may_read(people, request.headers.get("Authorization", "")):
            return Response("", HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": 'Bearer realm="metrics"'})
        registry = CollectorRegistry()
        registry.register(_Figures(people))
        encode, content_type = _form(request.headers.get("Accept", ""))
        return Response(encode(registry), content_type=content_type)


def _form(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    """How the figures are written for whoever accepts this; as plain text where its versions are none."""
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):
        return choose_encoder("")


def _may_read(people: People, authorization: str) -> bool:
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return False
    token = accounts.token_of(people.panel, key.strip())
    return token is not None and Scope.METRICS_READ in token.scopes


class _Figures(Collector):
    """Everything that is known, looked up when it is collected. What the broker would have to tell is left out while it is away."""

    def __init__(self, people: People) -> None:
        self._people = people

    def describe(self) -> Iterator[Metric]:
        """Nothing: the registry has no other collector whose names could clash."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        found = figures(self._people.panel)
        doors = self._people.doors
        yield InfoMetricFamily("ordersync_build", "The program that answers.", {"version": __version__})
        yield from _of_orders(found)
        yield from _of_sites(found)
        yield from _of_accounts(found.accounts)
        queues, counted = doors.queues(), doors.counted()
        yield _gauge("broker_up", "Whether the broker answers.", not (queues["fault"] or counted.fault))
        if not queues["fault"]:
            waiting = GaugeMetricFamily(
                "ordersync_queue_messages", "Messages that wait for a worker.", labels=["queue"]
            )
            for name, count in queues["queues"].items():
                waiting.add_metric([name], count)
            yield waiting
            yield _gauge(
                "unacknowledged_messages",
                "Messages that a worker has taken and not acknowledged.",
                queues["unacknowledged"],
            )
        if not counted.fault:
            yield from _of_tasks(counted)


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(f"ordersync_{name}", told, value=value)


def _of_orders(found: Figures) -> Iterator[Metric]:
    orders = GaugeMetricFamily(
        "ordersync_orders", "Orders that are not archived, by their state.", labels=["site", "state"]
    )
    for site, states in found.orders.items():
        for state, count in states.items():
            orders.add_metric([site, state], count)
    yield orders
    yield _gauge("pending_exports", "Written orders that the ERP has not got yet.", found.pending)
    errors: dict[tuple[str, str], int] = {}
    for each in found.errors:
        errors[each.site, each.kind] = errors.get((each.site, each.kind), 0) + each.errors
    open_errors = GaugeMetricFamily(
        "ordersync_open_errors", "Orders that need a person.", labels=["site", "kind"]
    )
    for (site, kind), count in errors.items():
        open_errors.add_metric([site, kind], count)
    yield open_errors
    money = GaugeMetricFamily(
        "ordersync_money_at_risk",
        "What the orders that need a person are worth, in whole units of their currency.",
        labels=["site", "currency"],
    )
    for (site, currency), value in found.money_at_risk().items():
        money.add_metric([site, currency], _number(value))
    yield money
    oldest = GaugeMetricFamily(
        "ordersync_oldest_pending_seconds",
        "For how long what is due at a link of the road has been due at most; 0 where nothing is.",
        labels=["link"],
    )
    for link, age in found.waits.items():
        oldest.add_metric([link], age)
    yield oldest
    alerts = GaugeMetricFamily("ordersync_alerts_open", "Alerts that are open.", labels=["kind"])
    for kind, count in found.alerts.items():
        alerts.add_metric([kind], count)
    yield alerts


def _of_sites(found: Figures) -> Iterator[Metric]:
    labels = ["site"]
    read = GaugeMetricFamily(
        "ordersync_site_last_read_timestamp_seconds",
        "When a site's orders were read last.",
        labels=labels,
    )
    paused = GaugeMetricFamily("ordersync_site_paused", "Whether a site is paused.", labels=labels)
    age = GaugeMetricFamily(
        "ordersync_certificate_age_seconds", "How old a site's latest comparison is.", labels=labels
    )
    complete = GaugeMetricFamily(
        "ordersync_certificate_complete",
        "Whether the latest comparison found nothing missing, doubled or different.",
        labels=labels,
    )
    for site in found.sites:
        if site.last_read is not None:
            read.add_metric([site.name], site.last_read.timestamp())
        paused.add_metric([site.name], site.is_paused)
        if site.certificate_age is not None and site.is_complete is not None:
            age.add_metric([site.name], site.certificate_age)
            complete.add_metric([site.name], site.is_complete)
    yield from (read, paused, age, complete)


def _of_accounts(usages: tuple[Usage, ...]) -> Iterator[Metric]:
    is_open = GaugeMetricFamily(
        "ordersync_account_breaker_open",
        "Whether an account is left alone because it failed again and again.",
        labels=["account"],
    )
    left = GaugeMetricFamily(
        "ordersync_account_requests_left",
        "How many more requests an account takes in its window.",
        labels=["account"],
    )
    calls = CounterMetricFamily(
        "ordersync_http_requests",
        "Calls by the status of their answer, or by why there was none.",
        labels=["account", "status"],
    )
    # A site and an ERP may have one name: their accounts are one to whoever reads this, and no label set may come twice.
    breakers: dict[str, bool] = {}
    lefts: dict[str, int] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for usage in usages:
        name = ", ".join(usage.names)
        breakers[name] = breakers.get(name, False) or usage.breaker is not Breaker.CLOSED
        if usage.left is not None:
            lefts[name] = min(usage.left, lefts.get(name, usage.left))
        counts.update({key: count for key, count in usage.answers.items() if key[0] in usage.names})
    for name, is_left_alone in breakers.items():
        is_open.add_metric([name], is_left_alone)
    for name, number in lefts.items():
        left.add_metric([name], number)
    for (caller, status), count in sorted(counts.items()):
        calls.add_metric([caller, status], count)
    yield from (is_open, left, calls)


def _of_tasks(counted: Counted) -> Iterator[Metric]:
    took = HistogramMetricFamily(
        "ordersync_step_seconds",
        "How long a step of the road took for one batch, and every other task, tries that ended in a later one as well.",
        labels=["step"],
    )
    for task, each in counted.tasks.items():
        took.add_metric([task], buckets=list(_buckets(each)), sum_value=each.seconds)
    yield took
    yield CounterMetricFamily(
        "ordersync_measures_dropped",
        "Tasks that were not counted above because the broker was away.",
        value=counted.dropped,
    )


def _buckets(took: Took) -> Iterator[tuple[str, float]]:
    total = 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), took.counts, strict=True):
        total += count
        yield bound, total


def _number(value: Decimal) -> float:
    return float(value)
