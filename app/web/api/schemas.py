"""What the API reads and writes, as the document describes it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, validates_schema
from marshmallow.fields import Dict, Field, List, Nested, String
from marshmallow.validate import Length, Range

from app.domain.order import LineType
from app.domain.road import LINKS, Owed, Stage, State, StepState
from app.sync.desk import KINDS
from app.sync.resume import End
from app.web.api import paging
from app.web.api.fields import ID, IN_QUERY, Amount, Anything, Cursor, Flag, Moment, Text, Value, Whole, Word
from app.web.api.places import HIGHEST

_REASON = 2000
_WORD = 255
_SAYS_SOMETHING = r"^[^\u0000]*\S[^\u0000]*$"


class _Fixed(Schema):
    """A schema that nobody changes once it is made, so that copies of what it documents share it: they are many, and take time."""

    def __deepcopy__(self, _memo: Any) -> "_Fixed":
        return self


class Answer(_Fixed):
    """What is answered: every field is there, empty or null where there is nothing to tell."""

    def on_bind_field(self, field_name: str, field_obj: Field[Any]) -> None:  # noqa: ARG002 - marshmallow's own
        """Every field is required."""
        field_obj.required = True


class Asked(_Fixed):
    """What is asked for: a field that is not documented is refused."""

    class Meta:
        """What marshmallow does with other fields."""

        unknown = RAISE


def _told(about: str, **more: Any) -> dict[str, Any]:
    return {"description": about, **more}


def _says_something(text: str) -> None:
    if not text.strip():
        raise ValidationError("Say something.")


def _maybe(field: type[Field[Any]], about: str = "") -> Any:
    return field(allow_none=True, metadata=_told(about) if about else {})


_Link = StrEnum("_Link", {each.name: each.value for each in LINKS})  # type: ignore[misc] # made of other words
_Kind = StrEnum("_Kind", {each.upper(): each for each in KINDS})  # type: ignore[misc] # made of other words
_LineType = StrEnum("_LineType", {each.name: each.name.lower() for each in LineType})  # type: ignore[misc] # made of other words


# What went wrong.


class Wrong(_Fixed):
    """A field of a request that is not as it should be."""

    in_ = String(data_key="in", required=True, metadata=_told("`body`, `query` or `header`."))
    field = String(required=True, metadata=_told("Its name; of a body, a JSON pointer."))
    detail = String(required=True, metadata=_told("What is wrong with it, in one sentence."))


class Problem(_Fixed):
    """What went wrong, as RFC 9457 has it."""

    type = String(required=True)
    title = String(required=True)
    status = Whole(required=True)
    detail = String(required=True, metadata=_told("What went wrong, in a sentence for people."))
    instance = String()
    errors = List(Nested(Wrong))
    request = String(metadata=_told("Under which number the log has a fault of the program."))


# Lists.


class Listed(Asked):
    """Which page of a list is asked for."""

    limit = Whole(
        load_default=paging.USUAL,
        validate=Range(min=1, max=paging.MOST),
        metadata=_told("At most so many.", **IN_QUERY),
    )
    cursor = Cursor(
        metadata=_told("The `next_cursor` of the page before; its filters are to be the same."),
    )


def paged(item: type[Schema], name: str) -> type[Schema]:
    """A page of these."""
    about = "Where the next page begins; null on the last one."
    fields = {
        "items": List(Nested(item), metadata=_told("From the newest to the oldest.")),
        "next_cursor": Text(allow_none=True, metadata=_told(about)),
    }
    made: type[Schema] = type(name, (Answer,), {**fields, "__doc__": f"A page of a list of {item.__name__}."})
    return made


def _site_filter() -> Any:
    return Text(validate=Length(max=64), metadata=_told("Of this site only.", format="site"))


def _text_filter() -> Any:
    about = "Only those with this in the order's number or in the reason, or of this id of the platform."
    return Text(load_default="", validate=Length(max=_WORD), metadata=_told(about))


# Orders.


class OrdersWanted(Listed):
    """Which orders are asked for."""

    site = _site_filter()
    state = Word(State, metadata=_told("In this state only."))
    number = Text(
        validate=Length(max=80),
        metadata=_told("The one with this number, such as BGM-123."),
    )
    text = _text_filter()
    run = Whole(
        validate=Range(min=1, max=HIGHEST),
        metadata=_told("Those that came, or came again, with this run.", **IN_QUERY),
    )
    since = Moment(metadata=_told("First seen since then."))
    updated_since = Moment(metadata=_told("Those of which anything has changed since then."))
    amended = Flag(
        metadata=_told(
            "Whether the platform has changed it since it was sent, and that version waits.", **IN_QUERY
        ),
    )


class OrderRow(Answer):
    """An order in a list."""

    id = Whole(metadata=ID)
    order_number = Text(metadata=_told("As we write it; empty until it could be read."))
    platform_order_id = Text()
    site = Text()
    run_id = _maybe(Whole, "The run that it came with last.")
    state = Word(State)
    stage = Word(Stage)
    reason = Text(metadata=_told("Why it waits or has stopped."))
    hold_kind = Text(metadata=_told("What it is held for; empty where it is not."))
    waiting_since = _maybe(Moment)
    next_at = _maybe(Moment, "When it is looked at again by itself.")
    amended = Flag()
    total = _maybe(Amount)
    currency = _maybe(Text)
    order_date = _maybe(Moment, "When it was placed.")
    order_date_raw = _maybe(Text, "The same as the platform wrote it.")
    seen_at = Moment()
    updated_at = Moment()
    acknowledged_at = _maybe(Moment, "When the platform was told.")
    exported_at = _maybe(Moment, "When the ERP had it.")
    erp_document = Text(metadata=_told("The number of the ERP's document; empty while there is none."))


class Held(Answer):
    """An order that waits for something outside of it."""

    id = Whole(metadata=ID)
    order_number = Text()
    platform_order_id = Text()
    site = Text()
    stage = Word(Stage)
    hold_kind = Text(metadata=_told("What it waits for, in a word."))
    reason = Text()
    waiting_since = _maybe(Moment)
    next_at = _maybe(Moment)


class HeldWanted(Listed):
    """Which held orders are asked for."""

    site = _site_filter()


class Header(Answer):
    """What an order says as a whole. The sums are those of its lines of each type."""

    status = Text(metadata=_told("The platform's own word for how it stands."))
    currency = Text()
    subtotal = Amount()
    shipping_total = Amount()
    tax_total = Amount()
    discount_total = Amount()
    store_credit = Amount()
    total = Amount()
    order_date = Moment()
    order_date_raw = Text()
    payment_method = Text()
    payment_title = Text()
    trans_id = Text()
    paid_at = _maybe(Moment)
    customer_note = Text()


class Address(Answer):
    """An address of an order, as the platform gave it."""

    kind = Text(metadata=_told("`bill` or `ship`."))
    first_name = Text()
    last_name = Text()
    company = Text()
    address1 = Text()
    address2 = Text()
    city = Text()
    state = Text()
    postcode = Text()
    country = Text(metadata=_told("ISO 3166-1 alpha-2."))
    email = Text()
    phone = Text()


class Line(Answer):
    """A line of an order. `amount` adds to the total, `credit` takes off it, `nominal` only tells a value."""

    position = Whole()
    type = Word(_LineType)
    parent = _maybe(Whole, "The position of the kit that it is a component of.")
    sku = _maybe(Text)
    name = Text()
    quantity = Amount()
    listed = _maybe(Amount, "The amount before the platform's own discounts.")
    amount = Amount()
    credit = Amount()
    nominal = Amount()
    tax = Amount()
    platform_line_id = Text()
    verdict = _maybe(Text, "What was found of its SKU.")


class Step(Answer):
    """What is owed to the outside for an order."""

    kind = Word(Owed)
    state = Word(StepState)
    reason = Text()
    attempts = Whole()
    next_at = _maybe(Moment)
    done_at = _maybe(Moment)
    document_number = Text()


class Event(Answer):
    """Something that happened to an order."""

    at = Moment()
    by = Text()
    stage = Text()
    event = Text()
    what = Text(metadata=_told("The same as a sentence."))


class Version(Answer):
    """A version of an order that the platform showed."""

    version = Whole()
    status = Text()
    modified_raw = Text(metadata=_told("When it was changed, as the platform wrote it."))
    read_at = Moment()


class ErrorRow(Answer):
    """An error in a list: an order that needs a person, or needed one."""

    id = Whole(metadata=ID)
    order_id = Whole(metadata=ID)
    order_number = Text()
    platform_order_id = Text()
    site = Text()
    stage = Text()
    kind = Text()
    field = _maybe(Text, "The JSON pointer of the field that it is about, where one is known.")
    reason = Text()
    value = _maybe(Amount, "What the order is worth, where it is known.")
    currency = _maybe(Text)
    attempts = Whole()
    resumed = Whole(metadata=_told("How often it was resumed and came back."))
    assignee = _maybe(Text)
    opened_at = Moment()
    resolved_at = _maybe(Moment, "Null while it is open.")
    resolution = _maybe(Text)
    resolved_by = _maybe(Text)


class Order(OrderRow):
    """An order with its lines and all that has happened to it."""

    version = Whole()
    archived_at = _maybe(Moment)
    erased_at = _maybe(Moment, "When its personal data was erased.")
    header = Nested(Header, allow_none=True, metadata=_told("Null until it could be read."))
    addresses = List(Nested(Address))
    lines = List(Nested(Line))
    steps = List(Nested(Step))
    errors = List(Nested(ErrorRow))
    events = List(Nested(Event))
    versions = List(Nested(Version))


# Errors.


class ErrorsWanted(Listed):
    """Which errors are asked for."""

    site = _site_filter()
    kind = Word(_Kind, metadata=_told("Of this kind only."))
    stage = Word(_Link, metadata=_told("At this step only."))
    assignee = Text(
        validate=Length(max=64),
        metadata=_told("Only those that this person has; empty: that nobody has."),
    )
    text = _text_filter()
    since = Moment(metadata=_told("Opened since then."))
    resolved = Flag(load_default=False, metadata=_told("Those that were resolved as well.", **IN_QUERY))


class Error(ErrorRow):
    """An error, with what it would take and the order so far."""

    takes = Text(metadata=_told("What it would take, in sentences; empty where it is resolved."))
    document = Anything(
        allow_none=True, metadata=_told("The order so far, as it is stored; null where it could not be read.")
    )


class Money(Answer):
    """What orders are worth together in a currency. Orders of unknown value count as none."""

    currency = Text()
    amount = Amount()


class KindSums(Answer):
    """The open errors of a kind."""

    kind = Text()
    errors = Whole()
    money = List(Nested(Money))


class Summary(Answer):
    """All open errors, in figures."""

    errors = Whole()
    money = List(Nested(Money))
    kinds = List(Nested(KindSums))


class RepairableField(Answer):
    """A field that may be changed."""

    pointer = Text()
    value = Anything(allow_none=True)
    failing = Flag(metadata=_told("Whether the open error is about it."))


class RepairInForce(Answer):
    """What was changed of an order, on top of what was received."""

    pointer = Text()
    before = Anything(allow_none=True)
    after = Anything(allow_none=True)
    by = Text()
    at = Moment()
    reason = Text()


class Fields(Answer):
    """What may be changed of an order that stands in error."""

    order_id = Whole(metadata=ID)
    order = Text()
    revision = Whole(
        metadata=_told("Send it back with the repair: then nothing is stored where somebody else was faster.")
    )
    fields_ = List(Nested(RepairableField), data_key="fields", attribute="fields")
    repairs = List(Nested(RepairInForce))


class RepairAsked(Asked):
    """Fields that are to be changed, by JSON pointers of `GET /errors/{error_id}/fields`. All of them are checked together."""

    changes = Dict(
        keys=Text(validate=Length(max=_WORD)),
        values=Value(),
        load_default=dict,
        metadata=_told("The new value of each field.", example={"/ship/postcode": "12345"}),
    )
    withdraw = List(
        Text(validate=Length(max=_WORD)),
        load_default=list,
        metadata=_told("Fields that are to be as received again."),
    )
    reason = Text(
        load_default="", validate=Length(max=_REASON), metadata=_told("Why; it is kept in the order's trail.")
    )
    revision = Whole(
        load_default=None,
        allow_none=True,
        validate=Range(min=0, max=HIGHEST),
        metadata=_told("Only if nobody has changed the order since this revision."),
    )
    dry_run = Flag(load_default=False, metadata=_told("Only tell what would become of it."))
    resume = Flag(load_default=False, metadata=_told("Let the order go on with it."))

    @validates_schema
    def check_any(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        """Raises `ValidationError` where nothing is to be changed."""
        if not data["changes"] and not data["withdraw"]:
            raise ValidationError("Say what is to be changed.", "changes")


class Change(Answer):
    """A field before and after."""

    pointer = Text()
    before = Anything(allow_none=True)
    after = Anything(allow_none=True)


class Outcome(Answer):
    """What came of asking an order to go on, or of settling it."""

    order_id = Whole(metadata=ID)
    order = Text()
    site = Text()
    end = Word(End)
    sentence = Text()
    run_id = _maybe(Whole, "The run that it goes on in.")


class Repaired(Answer):
    """What a repair came to."""

    order_id = Whole(metadata=ID)
    order = Text()
    stored = Flag()
    revision = Whole()
    changes = List(Nested(Change))
    foreseen = Text(metadata=_told("What would become of the order with it."))
    resumed = Nested(
        Outcome,
        allow_none=True,
        metadata=_told("What came of letting it go on; null where that was not asked for."),
    )


class ResumeAsked(Asked):
    """How an order goes on."""

    replay = Flag(
        load_default=False, metadata=_told("From what was received, rather than from where it stopped.")
    )
    send_again = Flag(
        load_default=False,
        metadata=_told("A document that was in the ERP and has been deleted there is written once more."),
    )
    dry_run = Flag(load_default=False, metadata=_told("Only tell what would become of it."))


class RetryAsked(Asked):
    """How an order is tried again."""

    dry_run = Flag(load_default=False, metadata=_told("Only tell what would become of it."))


class SkipAsked(Asked):
    """Why nothing more is to be done for an order."""

    reason = Text(
        required=True,
        validate=[Length(min=1, max=_REASON), _says_something],
        metadata=_told("Why; it is kept in the order's trail.", pattern=_SAYS_SOMETHING),
    )


class AssignAsked(Asked):
    """Whose an error is to be."""

    to = Text(
        required=True,
        allow_none=True,
        validate=[Length(min=1, max=64), _says_something],
        metadata=_told("A name; null for nobody.", pattern=_SAYS_SOMETHING),
    )


class Assigned(Answer):
    """How many open errors of the order are whose."""

    errors = Whole()
    assignee = _maybe(Text)


class CommentAsked(Asked):
    """What is to be noted."""

    text = Text(
        required=True,
        validate=[Length(min=1, max=_REASON), _says_something],
        metadata=_told("It is kept in the order's trail.", pattern=_SAYS_SOMETHING),
    )


class Commented(Answer):
    """Of which order it was noted."""

    order_id = Whole(metadata=ID)
    order = Text()


# Sites.


class SitesWanted(Asked):
    """Every site is asked for."""


class SiteRow(Answer):
    """A site. Nothing here says how we get in there."""

    name = Text()
    platform = Text()
    url = Text()
    prefix = Text()
    active = Flag(metadata=_told("Whether it is read when its schedule says so."))
    last_run = _maybe(Moment)
    next_run = Moment()
    paused_until = _maybe(Moment)
    paused = _maybe(Text, "Why it is left alone until then.")
    orders = Dict(keys=Text(), values=Whole(), metadata=_told("How many orders it has, by state."))


class Sites(Answer):
    """Every site, by name."""

    items = List(Nested(SiteRow))


class Site(SiteRow):
    """A site in full, but for how we get in there."""

    erp = _maybe(Text, "The ERP that it names; null where there is only one.")
    allow_private = Flag()
    read_to = _maybe(Moment)
    webhooks = _maybe(Text, "Where its platform sends webhooks; null where it sends none.")
    last_webhook = _maybe(Moment)
    alerts = List(Text())
    settings = Dict(keys=Text(), values=Text(), metadata=_told("As a person would type them."))


class SiteSwitch(Asked):
    """Nothing needs to be said."""


class SitePaused(Answer):
    """The site is read by no schedule any more."""

    name = Text()
    active = Flag()
    unfinished = Whole(metadata=_told("How many of its orders still go on."))


class SiteResumed(Answer):
    """The site is read when its schedule says so."""

    name = Text()
    active = Flag()
    next_run = Moment()


class Finding(Answer):
    """What was found by comparing the platform, the middleware and the ERP."""

    id = Whole(metadata=ID)
    made_at = Moment()
    from_at = _maybe(Moment, "Orders that were placed since then were compared; null: all.")
    until_at = Moment()
    complete = Flag(metadata=_told("Whether nothing was missing, doubled or different."))
    counts = Dict(keys=Text(), values=Whole())
    findings = List(Anything(), metadata=_told("What was missing, doubled or different."))


class Standing(Answer):
    """How many orders stand how."""

    pending = Whole(metadata=_told("Written and not yet in the ERP."))
    stopped = Whole(metadata=_told("Those of them that are not in motion: a person has to see to them."))
    moving = Whole()
    held = Whole()
    errors = Whole(metadata=_told("Open errors."))
    money = List(Nested(Money), metadata=_told("What the orders with an open error are worth."))


class SiteStanding(Standing):
    """How a site stands."""

    name = Text()
    state = Text(metadata=_told("`active`, `disabled`, `paused` or `maintenance`."))
    last_run = _maybe(Moment)
    next_run = _maybe(Moment)
    read_at = _maybe(Moment, "When it was last read to the end.")
    is_late = Flag(metadata=_told("Whether that is longer ago than it may be."))


class ErpStanding(Answer):
    """How an ERP stands."""

    name = Text()
    state = Text(metadata=_told("`active`, `disabled`, `paused` or `maintenance`."))
    items_last_run = _maybe(Moment)


class Alert(Answer):
    """What people should be told."""

    site = Text()
    sentence = Text()
    since = Moment()


class Overview(Standing):
    """How everything stands."""

    now = Moment()
    last_hour = Whole(metadata=_told("How many orders were first seen in the last 60 minutes."))
    last_day = Whole()
    sites = List(Nested(SiteStanding))
    erps = List(Nested(ErpStanding))
    alerts = List(Nested(Alert))
    stuck = List(Text(), metadata=_told("The steps at which something is due and nobody comes for it."))


# Runs.


class RunsWanted(Listed):
    """Which runs are asked for."""

    site = _site_filter()


class Run(Answer):
    """A run: one reading of a site, or one resumption, and how its orders stand. `GET /orders?run=` has them."""

    id = Whole(metadata=ID)
    site = Text(metadata=_told("Empty where it is of none."))
    kind = Text()
    state = Text()
    reason = Text()
    started_at = Moment()
    finished_at = _maybe(Moment, "Null while it goes on.")
    counts = Dict(keys=Text(), values=Whole())


class RunAsked(Asked):
    """What is to be read."""

    site = Text(
        required=True, validate=Length(min=1, max=64), metadata=_told("The name of the site.", format="site")
    )
