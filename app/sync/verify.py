"""Verifying SKUs in three tiers: known to the middleware, allowed there, and sold by the ERP."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from app.domain.kits import KitError, Kits, expandable, leaves, path_to
from app.domain.order import Line, LineType, Order, Verdict, sku_key
from app.domain.road import HOLD_SKU
from app.errors import Hold, Misconfigured, Reject
from app.ports.erp import ErpItem
from app.ports.store import ErpRow
from app.sync.parts import Parts
from app.sync.telling import pause_erp

_ALLOWED = "allowed"
_MISSING = "Not in the middleware yet: "


def verdicts(parts: Parts, row: ErpRow, skus: Sequence[str], *, afresh: bool) -> Mapping[str, Verdict]:
    """The verdict of each SKU (upper case). Passes of the last five minutes are believed unless `afresh`; refusals never.

    Raises `Retry` or `Misconfigured` where the ERP cannot be asked.
    """
    wanted = list(dict.fromkeys(skus))
    statuses = parts.store.item_statuses(row.id, wanted)
    to_ask = [sku for sku in wanted if statuses.get(sku, _ALLOWED) == _ALLOWED]
    try:
        items = items_of(parts, row, to_ask, afresh=afresh)
    except Misconfigured as error:
        pause_erp(parts, row, error)
        raise
    found: dict[str, Verdict] = {}
    for sku in wanted:
        if statuses.get(sku, _ALLOWED) != _ALLOWED:
            found[sku] = Verdict.NOT_ALLOWED
        elif sku not in items:
            found[sku] = Verdict.NOT_IN_ERP
        elif items[sku].blocked:
            found[sku] = Verdict.BLOCKED
        elif sku not in statuses:
            found[sku] = Verdict.NOT_IN_MIDDLEWARE
        else:
            found[sku] = Verdict.PASSED
    return found


def items_of(
    parts: Parts, row: ErpRow, skus: Sequence[str], *, afresh: bool = False
) -> Mapping[str, ErpItem]:
    """The ERP's items with these SKUs (upper case); what is not there is left out.

    What passed within the last five minutes is not asked for again, unless `afresh`. Raises what the ERP's read raises.
    """
    believed = {} if afresh else parts.passes.recent(row.id, skus)
    unknown = [sku for sku in skus if sku not in believed]
    if not unknown:
        return believed
    found = parts.peers.erp(row).find_items(unknown)
    parts.passes.remember(row.id, [item for item in found.values() if not item.blocked])
    return {**believed, **found}


def wanted_skus(order: Order, *, kits: Kits) -> tuple[str, ...]:
    """Every SKU an order needs a verdict on: its own and, for kits, their components' (a broken kit has none here)."""
    found = [sku_key(sku) for sku in order.skus]
    for sku in dict.fromkeys(line.sku for line in expandable(order) if line.sku):
        try:
            found += [component.sku for component in leaves(sku, kits=kits)]
        except KitError:
            # Expanding names the fault with its path; here it only has no components to verify.
            continue
    return tuple(dict.fromkeys(found))


def judged(
    order: Order, *, found: Mapping[str, Verdict], kits: Kits, erp_id: int, system: str, now: datetime
) -> Order:
    """The order with its lines' verdicts. Raises `Reject` for what cannot pass and `Hold` for what is not there yet.

    `system` is the ERP's name for the sentence.
    """
    faults: list[tuple[str, str, str]] = []
    missing: list[str] = []
    for index, line in enumerate(_as_received(order)):
        if line.type is LineType.PRODUCT and not (line.sku or "").strip():
            faults.append(
                ("bad_sku", f"Line {line.position} ({line.name}) has no SKU.", f"/lines/{index}/sku")
            )
    for sku in wanted_skus(order, kits=kits):
        fault = _fault(sku, found[sku], order, kits, system)
        if fault is not None:
            faults.append(fault)
        elif found[sku] is Verdict.NOT_IN_MIDDLEWARE:
            missing.append(sku)
    if faults:
        kind, _, field = faults[0]
        raise Reject(" ".join(sentence for _, sentence, _ in faults), kind=kind, field=field)
    if missing:
        waits_for = tuple((erp_id, sku) for sku in missing)
        raise Hold(f"{_MISSING}{', '.join(missing)}.", kind=HOLD_SKU, waits_for=waits_for)
    return with_verdicts(order, found=found, now=now)


def _as_received(order: Order) -> list[Line]:
    """The lines without the components of kits: a field is named by where it stands before kits are expanded."""
    return [line for line in order.lines if line.type is not LineType.COMPONENT]


def missing_skus(reason: str) -> list[str]:
    """The SKUs that an order held with this reason waits for."""
    return reason.removeprefix(_MISSING).removesuffix(".").split(", ")


def with_verdicts(order: Order, *, found: Mapping[str, Verdict], now: datetime) -> Order:
    """The order with the verdict and its time on every line that has a SKU."""

    def judged_line(line: Line) -> Line:
        if line.type not in {LineType.PRODUCT, LineType.COMPONENT} or not line.sku:
            return line
        return replace(line, verdict=found[sku_key(line.sku)], verified_at=now)

    return replace(order, lines=tuple(judged_line(line) for line in order.lines))


def _fault(sku: str, verdict: Verdict, order: Order, kits: Kits, system: str) -> tuple[str, str, str] | None:
    texts = {
        Verdict.NOT_ALLOWED: "is not allowed in the middleware",
        Verdict.NOT_IN_ERP: f"does not exist in {system}",
        Verdict.BLOCKED: f"is blocked in {system}",
    }
    text = texts.get(verdict)
    if text is None:
        return None
    for index, line in enumerate(_as_received(order)):
        if line.sku and sku_key(line.sku) == sku:
            return "bad_sku", f"The SKU {sku} {text}.", f"/lines/{index}/sku"
        path = path_to(line.sku, kits=kits, component=sku) if line.sku else ()
        if path:
            kind = "kit" if verdict is Verdict.NOT_IN_ERP else "bad_sku"
            return kind, f"The kit component {' > '.join(path)} {text}.", f"/lines/{index}/sku"
    return "bad_sku", f"The SKU {sku} {text}.", "/lines"
