"""The shop over HTTP: WooCommerce's REST v3 routes, and the control door under ``/_sandbox/``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from app.sandbox.server import CONTROL_PREFIX

from .answers import ApiError, JsonObject, encode
from .auth import Signed
from .dates import local_text
from .faults import Middleware, read_fault
from .generate import MAIL_DOMAIN
from .listing import page_link, php_query
from .recorded import recorded_orders
from .state import Shop, batch_items
from .webhooks import Webhook

API = "/wp-json/wc/v3"
_LIST_ALLOW = "GET, POST"
_ITEM_ALLOW = "GET, POST, PUT, PATCH, DELETE"
_BATCH_ALLOW = "POST, PUT, PATCH"
_WRITING = ["POST", "PUT", "PATCH"]
_JSON = "application/json; charset=UTF-8"
_COMMON = (
    ("Server", "nginx/1.22.1"),
    ("X-Robots-Tag", "noindex"),
    ("X-Content-Type-Options", "nosniff"),
    ("Access-Control-Expose-Headers", "X-WP-Total, X-WP-TotalPages, Link"),
    (
        "Access-Control-Allow-Headers",
        "Authorization, X-WP-Nonce, Content-Disposition, Content-MD5, Content-Type",
    ),
)
_NO_STORE = (
    ("Expires", "Wed, 11 Jan 1984 05:00:00 GMT"),
    ("Cache-Control", "no-cache, must-revalidate, max-age=0, no-store, private"),
)
_NO_AUTH = {
    "view": ("woocommerce_rest_cannot_view", "Sorry, you cannot list resources."),
    "edit": ("woocommerce_rest_cannot_edit", "Sorry, you are not allowed to edit this resource."),
    "create": ("woocommerce_rest_cannot_create", "Sorry, you are not allowed to create resources."),
    "delete": ("woocommerce_rest_cannot_delete", "Sorry, you are not allowed to delete this resource."),
    "batch": (
        "woocommerce_rest_cannot_batch",
        "Sorry, you are not allowed to batch manipulate this resource.",
    ),
}
_NO_ROUTE = ApiError(404, "rest_no_route", "No route was found matching the URL and request method.")

View = Callable[..., Response]


class _ShopApp:
    """The routes of one shop."""

    def __init__(self, shop: Shop, *, trust_proxy: bool) -> None:
        self.shop = shop
        self.trust_proxy = trust_proxy

    # What every answer and request has in common

    def _secure(self) -> bool:
        forwarded = self.trust_proxy and request.headers.get("X-Forwarded-Proto", "").lower() == "https"
        return forwarded or request.scheme == "https"

    def base_url(self) -> str:
        """Scheme and host of the site: its own setting, else as it was called."""
        if self.shop.site_url is None:
            self.shop.seen_url = f"{'https' if self._secure() else 'http'}://{request.host}"
        return self.shop.site()

    def respond(
        self,
        body: bytes,
        status: int = 200,
        allow: str = "",
        link: str | None = None,
        extra: dict[str, str] | None = None,
    ) -> Response:
        """An answer with the headers of the recorded ones."""
        headers = [("Content-Type", _JSON), *_COMMON]
        headers.append(("Link", link or f'<{self.base_url()}/wp-json/>; rel="https://api.w.org/"'))
        headers += list((extra or {}).items())
        if allow:
            headers.append(("Allow", allow))
        headers += [("Vary", "Origin")] if status == 401 and not allow else _NO_STORE
        return Response(body, status, headers)

    def authenticate(self) -> bool:
        """Section 1; raises on a wrong secret or a missing permission, False is "no auth"."""
        form = (
            request.get_data().decode("latin-1")
            if request.mimetype == "application/x-www-form-urlencoded"
            else ""
        )
        scheme = "https" if self._secure() else "http"
        raw_path = str(request.environ.get("RAW_URI") or request.path).partition("?")[0]
        signed = Signed(
            request.method,
            f"{scheme}://{request.host}{raw_path}",
            request.query_string.decode("latin-1"),
            request.headers.get("Authorization", ""),
            form,
            self._secure(),
        )
        return self.shop.keyring.authenticate(signed) is not None

    def guarded(self, action: str, allow: str) -> Callable[[View], View]:
        """A route that needs a key, and that answers errors in WordPress's shape."""

        def wrap(view: View) -> View:
            @wraps(view)
            def call(**values: Any) -> Response:
                signed_in = False
                try:
                    signed_in = self.authenticate()
                    if signed_in:
                        return view(**values)
                    failure = ApiError(401, *_NO_AUTH[action])
                except ApiError as error:
                    failure = error
                return self.respond(encode(failure.body()), failure.status, allow if signed_in else "")

            return call

        return wrap

    def data(self) -> Any:
        """The body's parameters. JSON sent as text/plain is silently ignored (section 2)."""
        if request.mimetype == "application/x-www-form-urlencoded":
            return php_query(request.get_data().decode("utf-8", "replace"))
        if not (request.mimetype == "application/json" or request.mimetype.endswith("+json")):
            return {}
        raw = request.get_data()
        if not raw.strip():
            return {}
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            raise ApiError(
                400,
                "rest_invalid_json",
                "Invalid JSON body passed.",
                json_error_code=4,
                json_error_message="Syntax error",
            ) from None

    def fields_of(self) -> JsonObject:
        """The body's parameters where an object is expected; anything else is ignored."""
        data = self.data()
        return data if isinstance(data, dict) else {}

    # Orders

    def list_orders(self) -> Response:
        """GET /orders (section 3)."""
        query, page, body = self.shop.list_page(php_query(request.query_string.decode("latin-1")))
        base = f"{self.base_url()}{API}/orders"
        parts = []
        if page.previous is not None:
            parts.append(f'<{page_link(base, query, page.previous)}>; rel="prev"')
        if page.next is not None:
            parts.append(f'<{page_link(base, query, page.next)}>; rel="next"')
        totals = {"X-WP-Total": str(page.total), "X-WP-TotalPages": str(page.pages)}
        return self.respond(body, allow=_LIST_ALLOW, link=", ".join(parts) or None, extra=totals)

    def _order(self, order_id: int, status: int = 200, extra: dict[str, str] | None = None) -> Response:
        query = php_query(request.query_string.decode("latin-1"))
        fields, dp = query.get("_fields", ""), query.get("dp", "2")
        decimals = int(dp) if isinstance(dp, str) and dp.isascii() and dp.isdigit() else 2
        names = ",".join(fields) if isinstance(fields, list) else fields
        body = self.shop.order_bytes(order_id, min(decimals, 8), names)
        return self.respond(body, status, _ITEM_ALLOW if status == 200 else _LIST_ALLOW, extra=extra)

    def get_order(self, order_id: int) -> Response:
        """GET /orders/<id>; a trashed one is answered too."""
        return self._order(order_id)

    def put_order(self, order_id: int) -> Response:
        """PUT, PATCH or POST /orders/<id>."""
        self.shop.update(order_id, self.fields_of())
        return self._order(order_id)

    def delete_order(self, order_id: int) -> Response:
        """DELETE /orders/<id>: the trash, or with ``force=true`` for good."""
        force = str({**request.args.to_dict(), **self.fields_of()}.get("force", "")).lower() in ("true", "1")
        return self.respond(self.shop.delete(order_id, force=force), allow=_ITEM_ALLOW)

    def create_order(self) -> Response:
        """POST /orders."""
        order_id = self.shop.create(self.fields_of())
        return self._order(order_id, 201, {"Location": f"{self.base_url()}{API}/orders/{order_id}"})

    def batch(self) -> Response:
        """POST, PUT or PATCH /orders/batch (section 7)."""
        fields, data = request.args.get("_fields", ""), self.data()
        request.environ["sandbox.entries"] = sum(map(len, batch_items(data).values()))
        return self.respond(self.shop.batch(data, fields=fields), allow=_BATCH_ALLOW)

    # Notes and refunds

    def list_notes(self, order_id: int) -> Response:
        """GET /orders/<id>/notes, by ``type`` any, customer or internal."""
        kind = request.args.get("type", "any")
        notes = [
            note
            for note in self.shop.notes(order_id)
            if kind == "any" or note["customer_note"] == (kind == "customer")
        ]
        return self.respond(encode(notes), allow=_LIST_ALLOW)

    def create_note(self, order_id: int) -> Response:
        """POST /orders/<id>/notes."""
        data = self.fields_of()
        if "note" not in data:
            raise ApiError(400, "rest_missing_callback_param", "Missing parameter(s): note", params=["note"])
        for_customer = data.get("customer_note") in (True, 1, "1", "true")
        note = self.shop.add_note(order_id, str(data["note"]), for_customer=for_customer)
        return self.respond(encode(note), 201, _LIST_ALLOW)

    def one_note(self, order_id: int, note_id: int) -> Response:
        """GET or DELETE /orders/<id>/notes/<id>."""
        note = next((one for one in self.shop.notes(order_id) if one["id"] == note_id), None)
        if note is None:
            raise ApiError(404, "woocommerce_rest_invalid_id", "Invalid resource ID.")
        if request.method == "DELETE":
            self.shop.remove_note(order_id, note_id)
        return self.respond(encode(note), allow="GET, DELETE")

    def list_refunds(self, order_id: int) -> Response:
        """GET /orders/<id>/refunds."""
        return self.respond(encode(self.shop.refunds(order_id)), allow=_LIST_ALLOW)

    def create_refund(self, order_id: int) -> Response:
        """POST /orders/<id>/refunds."""
        return self.respond(encode(self.shop.refund(order_id, self.fields_of())), 201, _LIST_ALLOW)

    def one_refund(self, order_id: int, refund_id: int) -> Response:
        """GET /orders/<id>/refunds/<id>."""
        refund = next((one for one in self.shop.refunds(order_id) if one["id"] == refund_id), None)
        if refund is None:
            raise ApiError(404, "woocommerce_rest_invalid_order_refund_id", "Invalid order refund ID.")
        return self.respond(encode(refund), allow="GET, DELETE")

    # Webhooks (section 9)

    def _webhook(self, webhook: Webhook) -> JsonObject:
        resource, _, event = webhook.topic.partition(".")
        zone = self.shop.zone
        base = f"{self.base_url()}{API}/webhooks"
        return {
            "id": webhook.id,
            "name": webhook.name,
            "status": webhook.status,
            "topic": webhook.topic,
            "resource": resource,
            "event": event,
            "hooks": [f"woocommerce_{resource}_{event}"],
            "delivery_url": webhook.delivery_url,
            "date_created": local_text(webhook.created, zone),
            "date_created_gmt": webhook.created,
            "date_modified": local_text(webhook.modified, zone),
            "date_modified_gmt": webhook.modified,
            "_links": {"self": [{"href": f"{base}/{webhook.id}"}], "collection": [{"href": base}]},
        }

    def list_webhooks(self) -> Response:
        """GET /webhooks."""
        wanted = request.args.get("status", "all")
        found = [self._webhook(one) for one in self.shop.webhooks.all() if wanted in ("all", one.status)]
        total = {"X-WP-Total": str(len(found)), "X-WP-TotalPages": "1" if found else "0"}
        return self.respond(encode(found), allow=_LIST_ALLOW, extra=total)

    def create_webhook(self) -> Response:
        """POST /webhooks: 201, active, pinged at once."""
        self.base_url()
        webhook = self.shop.webhooks.create(self.fields_of(), self.shop.now())
        return self.respond(encode(self._webhook(webhook)), 201, _LIST_ALLOW)

    def one_webhook(self, webhook_id: int) -> Response:
        """GET, PUT or DELETE /webhooks/<id>."""
        desk = self.shop.webhooks
        if request.method == "DELETE":
            desk.get(webhook_id)
            force = str({**request.args.to_dict(), **self.fields_of()}.get("force", "")).lower()
            if force not in ("true", "1"):
                message = "Webhooks do not support trashing."
                raise ApiError(501, "woocommerce_rest_trash_not_supported", message)
            webhook = desk.delete(webhook_id)
        elif request.method in _WRITING:
            webhook = desk.update(webhook_id, self.fields_of(), self.shop.now())
        else:
            webhook = desk.get(webhook_id)
        return self.respond(encode(self._webhook(webhook)), allow=_ITEM_ALLOW)

    # The rest of the site

    def index(self) -> Response:
        """GET /wp-json/wc/v3: the names of the routes."""
        names = ["", "/orders", "/orders/(?P<id>[\\d]+)", "/orders/batch", "/webhooks", "/system_status"]
        routes = {f"/wc/v3{name}": {"namespace": "wc/v3"} for name in names}
        return self.respond(encode({"namespace": "wc/v3", "routes": routes}), allow="GET")

    def system_status(self) -> Response:
        """GET /system_status: what a connector may want to know of a shop."""
        shop = self.shop
        settings = {"currency": "USD", "currency_symbol": "&#36;", "number_of_decimals": 2}
        body = {
            "environment": {
                "home_url": self.base_url(),
                "site_url": self.base_url(),
                "version": "11.0.1",
                "wp_version": "7.1",
                "default_timezone": "UTC",
            },
            "settings": {**settings, "HPOS_enabled": not shop.legacy},
        }
        return self.respond(encode(body), allow="GET")

    def front(self) -> Response:
        """``/?rest_route=``: keys count only under /wp-json/ (section 1)."""
        if request.args.get("rest_route", "").startswith("/wc/v3/"):
            code, message = _NO_AUTH["view"]
            return self.respond(encode(ApiError(401, code, message).body()), 401)
        return Response(
            "<!DOCTYPE html><title>Sandbox shop</title>", 200, content_type="text/html; charset=UTF-8"
        )

    def no_route(self, error: HTTPException) -> Response:
        """Unknown routes, ``/orders/abc``, ``DELETE /orders``: 404 rest_no_route."""
        if error.code not in (404, 405) or request.path.startswith(CONTROL_PREFIX):
            return cast("Response", error.get_response())
        if request.path.startswith("/wp-json"):
            return self.respond(encode(_NO_ROUTE.body()), 404)
        return Response(
            "<!DOCTYPE html><title>Page not found</title>", 404, content_type="text/html; charset=UTF-8"
        )


class _Control:
    """The control door: loopback only, no auth. It is no part of WooCommerce."""

    def __init__(self, shop: Shop, middleware: Middleware) -> None:
        self.shop = shop
        self.middleware = middleware

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
            except (ValueError, TypeError, KeyError) as error:
                return _plain({"error": str(error)}, 400)

        return call

    def data(self) -> Any:
        """The JSON body, whatever its content type; empty is an empty object."""
        return json.loads(request.get_data() or b"{}")

    def faults(self) -> Response:
        """POST sets a fault (or a list of them), DELETE removes all and tells which were left."""
        if request.method == "DELETE":
            return _plain({"left": self.middleware.faults.clear()})
        data = self.data()
        for fault in [read_fault(one) for one in (data if isinstance(data, list) else [data])]:
            self.middleware.faults.add(fault)
        return _plain({}, 201)

    def requests(self) -> Response:
        """GET the requests so far, DELETE forgets them."""
        if request.method == "DELETE":
            self.middleware.log.clear()
            return _plain({})
        return _plain([dataclasses.asdict(one) for one in list(self.middleware.log)])

    def orders(self) -> Response:
        """GET id, status, date and mark of every order, with ``?full=1`` its body too; POST adds raw bodies."""
        if request.method == "GET":
            full = request.args.get("full") in ("1", "true")
            rows = self.shop.overview()
            return _plain([{**row, "body": self.shop.order(row["id"])} for row in rows] if full else rows)
        data = self.data()
        announce = request.args.get("announce") in ("1", "true")
        added = self.shop.add_orders(data if isinstance(data, list) else [data], announce=announce)
        return _plain({"ids": added}, 201)

    def update(self, order_id: int) -> Response:
        """POST fields as PUT /orders/<id> takes them, for a change that no fault meets."""
        self.shop.update(order_id, self.data())
        return _plain(next(one for one in self.shop.overview() if one["id"] == order_id))

    def touch(self, order_id: int) -> Response:
        """POST: edit as a shop clerk would."""
        data = self.data()
        note = data.get("customer_note")
        self.shop.touch(order_id, None if note is None else str(note))
        return _plain(next(one for one in self.shop.overview() if one["id"] == order_id))

    def restore(self, order_id: int) -> Response:
        """POST: restore from the trash as the admin does."""
        self.shop.restore(order_id)
        return _plain(next(one for one in self.shop.overview() if one["id"] == order_id))

    def generate(self) -> Response:
        """POST {"count", "lines", "skus", "spread_seconds", "mail_domain", "announce"}."""
        data = self.data()
        ids = self.shop.generate(
            int(data.get("count", 1)),
            int(data.get("lines", 2)),
            [str(sku) for sku in data.get("skus") or []],
            spread_seconds=float(data.get("spread_seconds", 0)),
            mail_domain=str(data.get("mail_domain") or MAIL_DOMAIN),
            announce=bool(data.get("announce", False)),
        )
        return _plain({"ids": ids}, 201)

    def recorded(self) -> Response:
        """POST: put the recorded orders in (again), {"keep_marks": bool}."""
        bodies = recorded_orders(keep_marks=bool(self.data().get("keep_marks", False)))
        return _plain({"ids": self.shop.add_orders(bodies)}, 201)

    def latency(self) -> Response:
        """PUT {"ms": N}: added to every request but those of the control door."""
        milliseconds = float(self.data()["ms"])
        running = request.environ.get("sandbox.server")
        if running is not None:
            running.latency_ms = milliseconds
        return _plain({"ms": milliseconds})

    def settings(self) -> Response:
        """PUT {"timezone", "fractional_quantities", "webhook_delay"}: settings of the shop."""
        data, shop = self.data(), self.shop
        if "timezone" in data:
            shop.set_timezone(str(data["timezone"]))
        if "fractional_quantities" in data:
            shop.set_fractional_quantities(on=bool(data["fractional_quantities"]))
        if "webhook_delay" in data:
            shop.webhooks.delay = float(data["webhook_delay"])
        return _plain(
            {
                "timezone": shop.timezone,
                "fractional_quantities": shop.fractional_quantities,
                "webhook_delay": shop.webhooks.delay,
                "legacy": shop.legacy,
            }
        )

    def deliveries(self) -> Response:
        """GET what webhooks have sent so far."""
        return _plain([dataclasses.asdict(one) for one in list(self.shop.webhooks.deliveries)])


def _plain(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")


def create_app(shop: Shop, *, trust_proxy: bool = False) -> Flask:
    """The shop as a WSGI application.

    With ``trust_proxy`` the header ``X-Forwarded-Proto: https`` counts as TLS.
    """
    app = Flask(__name__, static_folder=None)
    app.url_map.strict_slashes = False
    site = _ShopApp(shop, trust_proxy=trust_proxy)
    middleware = Middleware(app.wsgi_app, shop.stopping)
    control = _Control(shop, middleware)

    def route(path: str, methods: list[str], action: str, allow: str, view: View) -> None:
        name = f"{view.__name__}:{action}"
        app.add_url_rule(
            f"{API}{path}",
            name,
            site.guarded(action, allow)(view),
            methods=methods,
            provide_automatic_options=False,
        )

    order, note, refund = "/orders/<int:order_id>", "/notes/<int:note_id>", "/refunds/<int:refund_id>"
    route("/orders", ["GET"], "view", _LIST_ALLOW, site.list_orders)
    route("/orders", ["POST"], "create", _LIST_ALLOW, site.create_order)
    route("/orders/batch", _WRITING, "batch", _BATCH_ALLOW, site.batch)
    route(order, ["GET"], "view", _ITEM_ALLOW, site.get_order)
    route(order, _WRITING, "edit", _ITEM_ALLOW, site.put_order)
    route(order, ["DELETE"], "delete", _ITEM_ALLOW, site.delete_order)
    route(f"{order}/notes", ["GET"], "view", _LIST_ALLOW, site.list_notes)
    route(f"{order}/notes", ["POST"], "create", _LIST_ALLOW, site.create_note)
    route(f"{order}{note}", ["GET"], "view", _LIST_ALLOW, site.one_note)
    route(f"{order}{note}", ["DELETE"], "delete", _LIST_ALLOW, site.one_note)
    route(f"{order}/refunds", ["GET"], "view", _LIST_ALLOW, site.list_refunds)
    route(f"{order}/refunds", ["POST"], "create", _LIST_ALLOW, site.create_refund)
    route(f"{order}{refund}", ["GET"], "view", _LIST_ALLOW, site.one_refund)
    route("/webhooks", ["GET"], "view", _LIST_ALLOW, site.list_webhooks)
    route("/webhooks", ["POST"], "create", _LIST_ALLOW, site.create_webhook)
    route("/webhooks/<int:webhook_id>", ["GET"], "view", _ITEM_ALLOW, site.one_webhook)
    route("/webhooks/<int:webhook_id>", _WRITING, "edit", _ITEM_ALLOW, site.one_webhook)
    route("/webhooks/<int:webhook_id>", ["DELETE"], "delete", _ITEM_ALLOW, site.one_webhook)
    route("/system_status", ["GET"], "view", "GET", site.system_status)
    app.add_url_rule(API, "index", site.index, methods=["GET"], provide_automatic_options=False)
    app.add_url_rule(f"{API}/", "index_slash", site.index, methods=["GET"], provide_automatic_options=False)
    app.add_url_rule(
        "/", "front", site.front, methods=["GET", *_WRITING, "DELETE"], provide_automatic_options=False
    )
    app.register_error_handler(HTTPException, site.no_route)

    doors: list[tuple[str, list[str], View]] = [
        ("faults", ["POST", "DELETE"], control.faults),
        ("requests", ["GET", "DELETE"], control.requests),
        ("orders", ["GET", "POST"], control.orders),
        ("orders/<int:order_id>/update", ["POST"], control.update),
        ("orders/<int:order_id>/touch", ["POST"], control.touch),
        ("orders/<int:order_id>/restore", ["POST"], control.restore),
        ("generate", ["POST"], control.generate),
        ("recorded", ["POST"], control.recorded),
        ("latency", ["PUT"], control.latency),
        ("settings", ["PUT"], control.settings),
        ("deliveries", ["GET"], control.deliveries),
    ]
    for path, methods, view in doors:
        app.add_url_rule(f"{CONTROL_PREFIX}{path}", f"control:{path}", control.guarded(view), methods=methods)

    app.wsgi_app = middleware  # type: ignore[method-assign]
    return app
