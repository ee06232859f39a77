"""The tables. Names are those that operators' queries use; every timestamp is UTC."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

from app.db.types import Bookmarked, Exact, Flag, LongText, UtcTime
from app.domain.road import STEP_UNFINISHED, UNFINISHED, Owed, Stage, State, StepState

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Case counts in every comparison, on every database: order numbers, hashes and tokens are not words.
_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def _table(name: str, *parts: Any) -> Table:
    made: Table = Table(name, metadata, *parts, **_OPTIONS)
    return made


def _one_of(column: str, words: type[StrEnum]) -> CheckConstraint:
    """On SQLite a trigger, which the migrations make."""
    return CheckConstraint(f"{column} IN ({_listed(words)})", name=column)


def _next_unless_ended(unfinished: Iterable[StrEnum]) -> CheckConstraint:
    """What is not at its end has a time at which somebody takes it up again."""
    return CheckConstraint(f"next_at IS NOT NULL OR state NOT IN ({_listed(unfinished)})", name="next_at")


def _listed(words: Iterable[StrEnum]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True, autoincrement=True)


erps = _table(
    "rm_erps",
    _id(),
    Column("name", String(64), nullable=False, unique=True),
    Column("platform", String(64), nullable=False),
    Column("url", String(500), nullable=False),
    Column("company", String(64), nullable=False, default=""),
    Column("allow_private", Boolean, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("credentials", LongText, nullable=False),
    Column("is_active", Flag, nullable=False, default=True),
    Column("paused_until", UtcTime),
    Column("paused_reason", String(1000)),
    Column("items_cursor", UtcTime),
    Column("items_next_run", UtcTime, nullable=False),
    Column("items_last_run", UtcTime),
    Column("lease_until", UtcTime),
    Column("lease_token", String(36)),
    Column("created_at", UtcTime, nullable=False),
    # What was removed and is kept for explanation: in no list, never active, its credentials erased.
    Column("removed_at", UtcTime),
)

sites = _table(
    "rm_sites",
    _id(),
    Column("name", String(64), nullable=False, unique=True),
    Column("platform", String(64), nullable=False),
    Column("url", String(500), nullable=False),
    Column("prefix", String(16), nullable=False, unique=True),
    Column("erp_id", Integer, ForeignKey("rm_erps.id")),
    Column("allow_private", Boolean, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("credentials", LongText, nullable=False),
    Column("is_active", Flag, nullable=False, default=True),
    Column("orders_sync", Flag, nullable=False, default=True),
    Column("order_last_run", UtcTime),
    Column("order_next_run", UtcTime, nullable=False),
    Column("cursor_modified", UtcTime),
    Column("cursor_order_id", String(64), nullable=False, default=""),
    # By how many seconds the platform's clock went before ours when it was last asked, and when it was last read far back.
    Column("clock_ahead", Float),
    Column("wide_read_at", UtcTime),
    # Where a reading, or a look far back, that was cut off goes on; NULL where none was.
    Column("bookmark", Bookmarked),
    Column("wide_bookmark", Bookmarked),
    # Readings that failed since the last that did not; NULL is none.
    Column("failures", Integer),
    # Where the platform sends its webhooks, the secrets they are checked against (encrypted), and when to look after them.
    Column("hook_url", String(500)),
    Column("hook_secrets", LongText),
    Column("hooks_next_check", UtcTime),
    Column("reconcile_next_run", UtcTime),
    Column("paused_until", UtcTime),
    Column("paused_reason", String(1000)),
    Column("lease_until", UtcTime),
    Column("lease_token", String(36)),
    Column("created_at", UtcTime, nullable=False),
    Column("removed_at", UtcTime),
)

items = _table(
    "rm_items",
    _id(),
    Column("erp_id", Integer, ForeignKey("rm_erps.id"), nullable=False),
    Column("sku", String(100), nullable=False),
    Column("name", String(255), nullable=False, default=""),
    Column("status", String(16), nullable=False),
    Column("kind", String(16), nullable=False, default="inventory"),
    Column("source", String(16), nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("erp_id", "sku"),
)

kits = _table(
    "rm_kits",
    _id(),
    Column("parent_sku", String(100), nullable=False),
    Column("component_sku", String(100), nullable=False),
    Column("quantity", Exact(19, 5, places=0), nullable=False),
    Column("position", Integer, nullable=False),
    UniqueConstraint("parent_sku", "component_sku"),
)

runs = _table(
    "rm_run",
    _id(),
    Column("site_id", Integer, ForeignKey("rm_sites.id")),
    Column("erp_id", Integer, ForeignKey("rm_erps.id")),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(1000), nullable=False, default=""),
    Column("counts", JSON, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("rung_at", UtcTime),
    Column("read_at", UtcTime),
    Column("is_full", Boolean),
    Column("finished_at", UtcTime),
    Index(None, "site_id", "started_at"),
    Index(None, "finished_at"),
)

batches = _table(
    "rm_batch",
    _id(),
    Column("site_id", Integer, ForeignKey("rm_sites.id"), nullable=False),
    Column("parent_id", Integer),
    Column("created_at", UtcTime, nullable=False),
)

inbox = _table(
    "rm_inbox",
    _id(),
    Column("site_id", Integer, ForeignKey("rm_sites.id"), nullable=False),
    Column("platform_order_id", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("status", String(64), nullable=False),
    Column("modified_raw", String(64), nullable=False),
    Column("modified_at", UtcTime),
    Column("read_at", UtcTime, nullable=False),
    Column("body", LongText, nullable=False),
    # The body with those parts that the platform shows only in calls of their own; NULL until they were asked for.
    Column("completed", LongText),
    UniqueConstraint("site_id", "platform_order_id", "version"),
)

threads = _table(
    "rm_thread",
    _id(),
    Column("site_id", Integer, ForeignKey("rm_sites.id"), nullable=False),
    Column("platform_order_id", String(64), nullable=False),
    Column("order_number", String(80), nullable=False, default=""),
    Column("version", Integer, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("modified_at", UtcTime),
    Column("read_at", UtcTime, nullable=False),
    Column("amended_version", Integer),
    Column("run_id", Integer, ForeignKey("rm_run.id")),
    Column("batch_id", Integer, ForeignKey("rm_batch.id")),
    Column("stage", String(24), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(1000), nullable=False, default=""),
    Column("hold_kind", String(24), nullable=False, default=""),
    Column("waiting_since", UtcTime),
    Column("document", LongText),
    Column("fresh", Boolean, nullable=False, default=False),
    Column("next_at", UtcTime),
    Column("rung_at", UtcTime),
    Column("attempts", Integer, nullable=False, default=0),
    Column("unsettled", Integer, nullable=False, default=0),
    Column("fence", Integer, nullable=False, default=0),
    Column("lease_until", UtcTime),
    Column("lease_token", String(36)),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    # How many sealed events it has, and the seal over the last of them; NULL is none.
    Column("event_count", Integer),
    Column("event_head", String(64)),
    # Who said that it is settled as it is: no reading runs it again.
    Column("skipped_by", String(64)),
    # This row stays when the order's other rows go to the archive, so that it is never taken for a new order.
    Column("archived_at", UtcTime),
    Column("erased_at", UtcTime),
    UniqueConstraint("site_id", "platform_order_id"),
    _one_of("stage", Stage),
    _one_of("state", State),
    _next_unless_ended(UNFINISHED),
    Index(None, "batch_id", "stage"),
    Index(None, "state", "next_at"),
    Index(None, "run_id"),
    Index(None, "order_number"),
    Index(None, "platform_order_id"),
    Index(None, "amended_version"),
    Index(None, "created_at", "site_id"),
)

steps = _table(
    "rm_step",
    _id(),
    Column("thread_id", Integer, ForeignKey("rm_thread.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(1000), nullable=False, default=""),
    Column("waiting_since", UtcTime),
    Column("intent_at", UtcTime),
    Column("document_id", String(64), nullable=False, default=""),
    Column("document_number", String(64), nullable=False, default=""),
    Column("done_at", UtcTime),
    Column("next_at", UtcTime),
    Column("rung_at", UtcTime),
    Column("attempts", Integer, nullable=False, default=0),
    Column("unsettled", Integer, nullable=False, default=0),
    Column("fence", Integer, nullable=False, default=0),
    Column("lease_until", UtcTime),
    Column("lease_token", String(36)),
    UniqueConstraint("thread_id", "kind"),
    _one_of("kind", Owed),
    _one_of("state", StepState),
    _next_unless_ended(STEP_UNFINISHED),
    Index(None, "state", "next_at"),
)

orders = _table(
    "rm_order",
    _id(),
    Column("thread_id", Integer, ForeignKey("rm_thread.id"), nullable=False, unique=True),
    Column("site_id", Integer, ForeignKey("rm_sites.id"), nullable=False),
    Column("erp_id", Integer, ForeignKey("rm_erps.id"), nullable=False),
    Column("order_number", String(80), nullable=False),
    Column("external_number", String(80), nullable=False),
    Column("platform_order_id", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("order_date", UtcTime, nullable=False),
    Column("order_date_raw", String(64), nullable=False),
    Column("status", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("subtotal", Exact(), nullable=False),
    Column("shipping_total", Exact(), nullable=False),
    Column("tax_total", Exact(), nullable=False),
    Column("discount_total", Exact(), nullable=False),
    Column("store_credit", Exact(), nullable=False),
    Column("total", Exact(), nullable=False),
    Column("bill_first_name", String(255), nullable=False),
    Column("bill_last_name", String(255), nullable=False),
    Column("bill_email", String(255), nullable=False),
    Column("ship_first_name", String(255), nullable=False),
    Column("ship_last_name", String(255), nullable=False),
    Column("ship_address1", String(255), nullable=False),
    Column("ship_city", String(255), nullable=False),
    Column("ship_state", String(255), nullable=False),
    Column("ship_postcode", String(64), nullable=False),
    Column("ship_country", String(2), nullable=False),
    Column("payment_method", String(100), nullable=False),
    Column("payment_title", String(255), nullable=False),
    Column("trans_id", String(255), nullable=False),
    Column("paid_at", UtcTime),
    Column("klarna", Boolean, nullable=False),
    Column("stripe", Boolean, nullable=False),
    Column("paypal", Boolean, nullable=False),
    Column("customer_note", LongText, nullable=False),
    Column("imported", SmallInteger, nullable=False, default=0),
    Column("acknowledged_at", UtcTime),
    Column("exported_at", UtcTime),
    Column("erp_document_id", String(64), nullable=False, default=""),
    Column("erp_document_number", String(64), nullable=False, default=""),
    Column("erp_customer_number", String(64), nullable=False, default=""),
    Column("erp_total", Exact()),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("site_id", "platform_order_id"),
    UniqueConstraint("erp_id", "external_number"),
    Index(None, "imported"),
    Index(None, "order_number"),
    Index(None, "erp_document_number"),
    Index(None, "site_id", "order_date"),
    Index(None, "exported_at"),
)

addresses = _table(
    "rm_address",
    _id(),
    Column("order_id", Integer, ForeignKey("rm_order.id"), nullable=False),
    Column("kind", String(4), nullable=False),
    *(
        Column(name, String(255), nullable=False)
        for name in ("first_name", "last_name", "company", "address1", "address2", "city", "state")
    ),
    Column("postcode", String(64), nullable=False),
    Column("country", String(2), nullable=False),
    Column("email", String(255), nullable=False),
    Column("phone", String(64), nullable=False),
    UniqueConstraint("order_id", "kind"),
)

lineitems = _table(
    "rm_lineitems",
    _id(),
    Column("order_id", Integer, ForeignKey("rm_order.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("line_type", SmallInteger, nullable=False),
    Column("parent", Integer),
    Column("sku", String(255)),
    Column("name", LongText, nullable=False),
    Column("quantity", Exact(19, 5, places=0), nullable=False),
    Column("listed", Exact()),
    Column("amount", Exact(), nullable=False),
    Column("credit", Exact(), nullable=False),
    Column("nominal", Exact(), nullable=False),
    Column("tax", Exact(), nullable=False),
    Column("platform_line_id", String(64), nullable=False),
    Column("detail", LongText, nullable=False),
    Column("verdict", String(24)),
    Column("verified_at", UtcTime),
    Column("imported", SmallInteger, nullable=False, default=0),
    UniqueConstraint("order_id", "position"),
    Index(None, "sku"),
)

error_orders = _table(
    "rm_error_orders",
    _id(),
    Column("thread_id", Integer, ForeignKey("rm_thread.id"), nullable=False),
    Column("site_id", Integer, ForeignKey("rm_sites.id"), nullable=False),
    Column("order_number", String(80), nullable=False),
    Column("platform_order_id", String(64), nullable=False),
    Column("stage", String(24), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("reason", LongText, nullable=False),
    Column("field", String(255)),
    Column("document", LongText),
    Column("value", Exact()),
    Column("currency", String(3)),
    Column("attempts", Integer, nullable=False, default=0),
    Column("opened_at", UtcTime, nullable=False),
    Column("resolved_at", UtcTime),
    Column("resolution", String(255)),
    # Equal to the thread's id and stage while open, NULL when resolved: one open row each, on every database.
    Column("open_key", String(64), unique=True),
    Column("resolved_by", String(64)),
    # How often it was resumed and came back; NULL is never.
    Column("resumed", Integer),
    Column("assignee", String(64)),
    # When it was last seen whether the ERP has been put right.
    Column("checked_at", UtcTime),
    Index(None, "resolved_at", "site_id"),
    Index(None, "thread_id"),
)

id_map = _table(
    "rm_id_map",
    _id(),
    Column("erp_id", Integer, ForeignKey("rm_erps.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("our_key", String(255), nullable=False),
    Column("their_key", String(64), nullable=False, default=""),
    Column("state", String(16), nullable=False),
    Column("intent_at", UtcTime, nullable=False),
    UniqueConstraint("erp_id", "kind", "our_key"),
)

events = _table(
    "rm_event",
    _id(),
    Column("thread_id", Integer, ForeignKey("rm_thread.id"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("stage", String(24), nullable=False),
    Column("event", String(32), nullable=False),
    Column("by", String(64), nullable=False),
    Column("detail", JSON, nullable=False),
    # The order's events are numbered; `mac` seals this one, the digest of its payload and all before it. NULL: before seals.
    Column("number", Integer),
    Column("digest", String(64)),
    Column("mac", String(64)),
    Index(None, "thread_id"),
)

# What an event tells of people or in full: apart from it, so that it can be erased and the seals hold.
payloads = _table(
    "rm_payload",
    _id(),
    Column("thread_id", Integer, ForeignKey("rm_thread.id"), nullable=False),
    Column("number", Integer, nullable=False),
    # NULL once it was erased.
    Column("body", LongText),
    UniqueConstraint("thread_id", "number"),
)

# What a person has changed of an order, on top of what was received. `layer` says of what: `body` or `order`.
repairs = _table(
    "rm_repair",
    _id(),
    Column("thread_id", Integer, ForeignKey("rm_thread.id"), nullable=False),
    Column("layer", String(8), nullable=False),
    Column("pointer", String(255), nullable=False),
    # JSON texts.
    Column("before", LongText, nullable=False),
    Column("after", LongText, nullable=False),
    # A digest of what surrounded it in its line; empty where it is in none.
    Column("context", String(64), nullable=False, default=""),
    Column("by", String(64), nullable=False),
    Column("reason", LongText, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("ended", String(255), nullable=False, default=""),
    Index(None, "thread_id"),
)

# The SKUs that held orders wait for.
waits = _table(
    "rm_wait",
    _id(),
    Column("thread_id", Integer, ForeignKey("rm_thread.id"), nullable=False),
    Column("erp_id", Integer, ForeignKey("rm_erps.id"), nullable=False),
    Column("sku", String(255), nullable=False),
    UniqueConstraint("thread_id", "sku"),
    Index(None, "erp_id", "sku"),
)

# What the program keeps for itself, encrypted with its secret key.
secrets = _table(
    "rm_secret",
    _id(),
    Column("name", String(32), nullable=False, unique=True),
    Column("value", LongText, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

# One row for each delivery of a webhook that was believed; it is also the job of reading the order that it names.
deliveries = _table(
    "rm_delivery",
    _id(),
    Column("site_id", Integer, ForeignKey("rm_sites.id"), nullable=False),
    Column("delivery_id", String(128), nullable=False),
    Column("topic", String(64), nullable=False),
    Column("platform_order_id", String(64), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    # NULL once the order was read, or where there is none to be read.
    Column("next_at", UtcTime),
    Column("rung_at", UtcTime),
    Column("attempts", Integer, nullable=False, default=0),
    Column("lease_until", UtcTime),
    Column("lease_token", String(36)),
    Column("done_at", UtcTime),
    Column("outcome", String(255), nullable=False, default=""),
    UniqueConstraint("site_id", "delivery_id"),
    Index(None, "next_at"),
    Index(None, "site_id", "received_at"),
)

certificates = _table(
    "rm_certificate",
    _id(),
    Column("site_id", Integer, ForeignKey("rm_sites.id"), nullable=False),
    # Orders created from here (NULL: from ever) up to `until_at` were compared.
    Column("from_at", UtcTime),
    Column("until_at", UtcTime, nullable=False),
    Column("made_at", UtcTime, nullable=False),
    Column("complete", Flag, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("findings", JSON, nullable=False),
    Index(None, "site_id", "made_at"),
)

# What people are to be told: of a site, or else of the `subject`, which is an ERP, an account, a currency, or nothing for all.
alerts = _table(
    "rm_alert",
    _id(),
    Column("site_id", Integer, ForeignKey("rm_sites.id")),
    Column("kind", String(32), nullable=False),
    Column("subject", String(255)),
    Column("reason", String(1000), nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
    # Since when its rule sees it no more; NULL while it does.
    Column("clear_since", UtcTime),
    # When it was put down who is to be told of its begin, and of its end; NULL while that is owed, or was never told.
    Column("told_at", UtcTime),
    Column("told_over_at", UtcTime),
    # The site, or a digest of the subject, and the kind while it is open, NULL once it is over: one open row each, everywhere.
    Column("open_key", String(64), unique=True),
    Index(None, "closed_at"),
)

# What people have changed of the rules, one row for each kind at most; what is not here is as the program has it.
alert_rules = _table(
    "rm_alert_rule",
    _id(),
    Column("kind", String(32), nullable=False, unique=True),
    Column("enabled", Flag, nullable=False),
    Column("threshold", Exact(places=0)),
    Column("currency", String(3), nullable=False),
    Column("for_minutes", Integer, nullable=False),
    Column("severity", String(16), nullable=False),
    # Clock times as `22:00` in the zone; empty for no quiet hours.
    Column("quiet_from", String(5), nullable=False),
    Column("quiet_to", String(5), nullable=False),
    Column("quiet_zone", String(64), nullable=False),
)

alert_targets = _table(
    "rm_alert_target",
    _id(),
    Column("name", String(64), nullable=False, unique=True),
    # Encrypted, for it holds passwords and tokens; `hint` is what is shown of it.
    Column("url", LongText, nullable=False),
    Column("hint", String(255), nullable=False),
    Column("enabled", Flag, nullable=False),
    # The kinds that it is told of, separated by blanks; empty for all.
    Column("kinds", String(500), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(64), nullable=False),
)

# One row for each alert, target and begin or end: the job of telling it.
alert_notices = _table(
    "rm_alert_notice",
    _id(),
    Column("alert_id", Integer, ForeignKey("rm_alert.id"), nullable=False),
    # NULL once the target was removed; `target` is its name.
    Column("target_id", Integer, ForeignKey("rm_alert_target.id")),
    Column("target", String(64), nullable=False),
    Column("what", String(8), nullable=False),
    Column("made_at", UtcTime, nullable=False),
    # NULL once it was told or given up.
    Column("next_at", UtcTime),
    Column("told_at", UtcTime),
    Column("attempts", Integer, nullable=False, default=0),
    Column("outcome", String(1000), nullable=False, default=""),
    Column("lease_until", UtcTime),
    Column("lease_token", String(36)),
    UniqueConstraint("alert_id", "target_id", "what"),
    Index(None, "next_at"),
    Index(None, "target_id"),
)

# People who may look and do, and programs with tokens. Of what signs anybody in only digests are kept.
users = _table(
    "rm_user",
    _id(),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("is_active", Flag, nullable=False, default=True),
    # An argon2 hash; NULL for somebody who has no password yet.
    Column("password", String(255)),
    Column("failures", Integer, nullable=False, default=0),
    Column("locked_until", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("last_login_at", UtcTime),
)

# Who is signed in, and the links that sign in once: `kind` is `session` or `link`.
sessions = _table(
    "rm_session",
    _id(),
    Column("user_id", Integer, ForeignKey("rm_user.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Index(None, "user_id"),
    Index(None, "expires_at"),
)

tokens = _table(
    "rm_token",
    _id(),
    Column("name", String(64), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("hint", String(16), nullable=False),
    Column("scopes", String(255), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("expires_at", UtcTime),
    Column("last_used_at", UtcTime),
    Column("revoked_at", UtcTime),
    # The name until it is revoked, then NULL: a name may be given again.
    Column("open_name", String(64), unique=True),
)

# What people and programs did through the panel, the API and the command line; what concerns an order is in its trail as well.
actions = _table(
    "rm_action",
    _id(),
    Column("at", UtcTime, nullable=False),
    Column("by", String(80), nullable=False),
    Column("via", String(8), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", String(255), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("outcome", String(1000), nullable=False, default=""),
)

# Answers that are given again to whoever sends the same request under the same key.
keyed = _table(
    "rm_idempotency",
    _id(),
    Column("token_id", Integer, ForeignKey("rm_token.id"), nullable=False),
    # The digest of the key.
    Column("key", String(64), nullable=False),
    # A digest of method, path and body.
    Column("request", String(64), nullable=False),
    Column("status", Integer),
    Column("body", LongText, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    UniqueConstraint("token_id", "key"),
    Index(None, "expires_at"),
)


def _archive(table: Table, *keys: tuple[str, ...]) -> Table:
    """The table that takes the rows of orders that have long been done, with their ids."""
    columns = [
        Column(
            each.name, each.type, primary_key=each.primary_key, nullable=each.nullable, autoincrement=False
        )
        for each in table.c
    ]
    return _table(f"{table.name}_archive", *columns, *(Index(None, *key) for key in keys))


ARCHIVES: dict[Table, Table] = {
    inbox: _archive(inbox, ("site_id", "platform_order_id")),
    steps: _archive(steps, ("thread_id",)),
    orders: _archive(
        orders,
        *(("thread_id",), ("order_number",), ("external_number",), ("erp_document_number",)),
        ("site_id", "order_date"),
    ),
    addresses: _archive(addresses, ("order_id",)),
    lineitems: _archive(lineitems, ("order_id",)),
    error_orders: _archive(error_orders, ("thread_id",)),
    events: _archive(events, ("thread_id",)),
    payloads: _archive(payloads, ("thread_id",)),
    repairs: _archive(repairs, ("thread_id",)),
}
"""Each table whose rows go with an order, and its archive."""
