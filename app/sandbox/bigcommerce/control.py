"""The control door under ``/_sandbox/``: loopback only, no token. It is no part of BigCommerce."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response, request

from app.sandbox.faults import read_fault

from .answers import ApiError
from .faults import KINDS
from .generate import MAIL_DOMAIN
from .state import Store

View = Callable[..., Response]


def _plain(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")


def _data() -> Any:
    """The JSON body, whatever its content type; empty is an empty object."""
    return json.loads(request.get_data() or b"{}")


class Control:
    """The doors of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def routes(self) -> list[tuple[str, str, View]]:
        """Method, path and view of all doors."""
        return [
            ("GET", "orders", self.orders),
            ("POST", "orders", self.add_orders),
            ("POST", "generate", self.generate),
            ("POST", "demo", self.demo),
            ("POST", "update/<int:order_id>", self.update),
            ("POST", "archive/<int:order_id>", self.archive),
            ("POST", "remove/<int:order_id>", self.remove),
            ("POST", "refund/<int:order_id>", self.refund),
            ("POST", "faults", self.set_faults),
            ("DELETE", "faults", self.clear_faults),
            ("GET", "requests", self.requests),
            ("GET", "counters", self.counters),
            ("DELETE", "counters", self.clear_counters),
            ("GET", "webhooks", self.webhooks),
            ("PUT", "webhooks", self.set_webhooks),
            ("PUT", "settings", self.settings),
            ("PUT", "latency", self.latency),
        ]

    def guarded(self, view: View) -> View:
        """Loopback only; a bad request is told in one sentence."""

        @wraps(view)
        def call(**values: Any) -> Response:
            if not (request.remote_addr or "").startswith(("127.", "::1", "::ffff:127.")):
                return _plain({"error": "the control door is for loopback only"}, 403)
            try:
                return view(**values)
            except ApiError as error:
                return _plain({"error": error.message}, error.status)
            except (ValueError, TypeError, KeyError, IndexError, ArithmeticError) as error:
                return _plain({"error": f"{type(error).__name__}: {error}"}, 400)

        return call

    def orders(self) -> Response:
        """GET id, status, date, total and staff notes of every order; with ``?full=1`` its fields and lines too."""
        if request.args.get("full") not in ("1", "true"):
            return _plain(self.store.overview())
        kept = {order.id: order for order in self.store.all_orders()}
        return _plain(
            [
                {**row, "body": kept[row["id"]].body, "lines": kept[row["id"]].lines}
                for row in self.store.overview()
                if row["id"] in kept
            ]
        )

    def add_orders(self) -> Response:
        """POST a description or a list of them; ``?announce=1`` fires webhooks."""
        data, announce = _data(), request.args.get("announce") in ("1", "true")
        rows = data if isinstance(data, list) else [data]
        return _plain({"ids": [self.store.add_order(row, announce=announce) for row in rows]}, 201)

    def generate(self) -> Response:
        """POST {"count", "lines", "skus", "spread_seconds", "mail_domain", "announce", "overrides"}."""
        data = _data()
        ids = self.store.generate(
            int(data.get("count", 1)),
            int(data.get("lines", 2)),
            [str(sku) for sku in data.get("skus") or []],
            spread_seconds=float(data.get("spread_seconds", 0)),
            mail_domain=str(data.get("mail_domain") or MAIL_DOMAIN),
            announce=bool(data.get("announce", False)),
            overrides=data.get("overrides"),
        )
        return _plain({"ids": ids}, 201)

    def demo(self) -> Response:
        """POST: put the demo's orders in (again)."""
        return _plain({"ids": self.store.add_demo_orders()}, 201)

    def update(self, order_id: int) -> Response:
        """POST fields to change as somebody in the control panel does; ``?announce=0`` fires no webhook."""
        self.store.update(order_id, _data(), announce=request.args.get("announce", "1") in ("1", "true"))
        return _plain(next(row for row in self.store.overview() if row["id"] == order_id))

    def archive(self, order_id: int) -> Response:
        """POST: archive an order."""
        self.store.archive(order_id)
        return _plain({})

    def remove(self, order_id: int) -> Response:
        """POST: take an order away for good."""
        self.store.remove(order_id)
        return _plain({})

    def refund(self, order_id: int) -> Response:
        """POST {"amount", "reason"}: give money back, all of it without an amount."""
        data = _data()
        return _plain(
            self.store.refund(order_id, data.get("amount"), reason=str(data.get("reason") or "")), 201
        )

    def set_faults(self) -> Response:
        """POST a fault or a list of them: {"kind", "match": {"method", "path", "query"}, "times", "skip", "seconds"}."""
        data = _data()
        for fault in [read_fault(one, KINDS) for one in (data if isinstance(data, list) else [data])]:
            self.store.faults.add(fault)
        return _plain({}, 201)

    def clear_faults(self) -> Response:
        """DELETE all faults; which were left."""
        return _plain({"left": self.store.faults.clear()})

    def requests(self) -> Response:
        """GET the requests so far."""
        return _plain([dataclasses.asdict(one) for one in self.store.requests])

    def counters(self) -> Response:
        """GET how many requests there were, in all, by route and in the fullest window, and how many were refused."""
        return _plain(self.store.counters())

    def clear_counters(self) -> Response:
        """DELETE the counters and the log, and open a new window."""
        self.store.log.clear()
        self.store.limit.reset()
        return _plain({})

    def webhooks(self) -> Response:
        """GET what webhooks have sent so far."""
        sent = list(self.store.hooks.sent)
        return _plain([{**dataclasses.asdict(one), "body": json.loads(one.body)} for one in sent])

    def set_webhooks(self) -> Response:
        """PUT {"duplicates", "signed", "tells_status", "hold": true, "release": "forwards" or "backwards", "resend": id}."""
        data, hooks = _data(), self.store.hooks
        hooks.duplicates = int(data.get("duplicates", hooks.duplicates))
        hooks.signed = bool(data.get("signed", hooks.signed))
        hooks.tells_status = bool(data.get("tells_status", hooks.tells_status))
        if "resend" in data:
            hooks.resend(str(data["resend"]))
        if "release" in data:
            hooks.release(backwards=data["release"] == "backwards")
        if data.get("hold"):
            hooks.hold()
        return _plain(
            {"duplicates": hooks.duplicates, "signed": hooks.signed, "tells_status": hooks.tells_status}
        )

    def settings(self) -> Response:
        """PUT the store's switches by name, "quota", "window_seconds", "timezone", "labels": {"11": "Ready"}."""
        data, store = _data(), self.store
        for name, value in data.items():
            if name in ("quota", "window_seconds"):
                setattr(store.limit, name, type(getattr(store.limit, name))(value))
            elif name == "timezone":
                store.timezone = str(value)
            elif name == "labels":
                for status_id, label in value.items():
                    store.labels.set(int(status_id), str(label))
            elif hasattr(store.switches, name):
                setattr(store.switches, name, bool(value))
            else:
                raise ValueError(f"{name} is no setting")
        return _plain(dataclasses.asdict(store.switches))

    @staticmethod
    def latency() -> Response:
        """PUT {"ms": N}: added to every request but those of the control door."""
        milliseconds = float(_data()["ms"])
        running = request.environ.get("sandbox.server")
        if running is not None:
            running.latency_ms = milliseconds
        return _plain({"ms": milliseconds})
