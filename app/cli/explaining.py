"""`explain`: how every amount of an order came about, to the cent."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from decimal import Decimal

import click
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.cli.root import json_option, main, opened, show
from app.domain.money import smallest_unit
from app.sync.explain import explain
from app.sync.explanation import Amount, ExplainedLine, Explanation, WrittenLine, digits

_NAMES = {
    "total": "total",
    "amount": "amount",
    "listed": "before discounts",
    "nominal": "worth",
    "credit": "credit",
    "tax": "tax on it",
}
_ONE = Decimal(1)


@main.command("explain")
@click.argument("order")
@click.option("--line", type=click.IntRange(min=1), default=None, help="This line only, by its position.")
@json_option
def explain_order(order: str, line: int | None, as_json: bool) -> None:
    """How every amount of an order came about: the platform's figures, our rules, the ERP's lines.

    ORDER is our number or the platform's id. Nothing is asked of any outside system.
    """
    found = explain(opened().parts, order, line=line)
    show(asdict(found), as_json=as_json, table=lambda: Group(*_page(found)))


def _page(found: Explanation) -> Iterator[RenderableType]:
    number = found.order_number or f"(platform id {found.platform_order_id})"
    document = f", ERP document {found.erp_document}" if found.erp_document else ""
    yield Text(f"{number} of {found.site}, {found.state} at {found.stage}{document}", style="bold")
    if found.total is not None:
        unit = smallest_unit(found.currency)
        yield _rows([("total", _amount_text(found.total, unit, found.currency))])
        for line in found.lines:
            yield Text("")
            yield from _line(line, unit)
    if found.notes or found.checks:
        yield Text("")
    for note in found.notes:
        yield Text(note, style="yellow")
    for check in found.checks:
        yield Text(
            ("right  " if check.holds else "WRONG  ") + check.sentence,
            style="green" if check.holds else "red",
        )


def _line(line: ExplainedLine, unit: Decimal) -> Iterator[RenderableType]:
    kind = line.type.replace("_", " ")
    what = " ".join(filter(None, (line.sku, line.name if line.name.lower() != kind else "")))
    quantity = "" if line.quantity == _ONE else f"  ({digits(line.quantity, _ONE)} pieces)"
    yield Text(f"Line {line.position}, {kind}{what and ': '}{what}{quantity}", style="bold")
    rows = [
        (_NAMES[each.makes], _amount_text(each, unit)) for each in line.amounts if not _is_share(line, each)
    ]
    rows += list(_share_rows(line, unit))
    if any(each.makes == "credit" for each in line.amounts):
        amount, credit = line.amounts[0].value, line.amounts[0].value - line.net
        rows.append(
            ("left", Text(f"{digits(amount, unit)} - {digits(credit, unit)} = {digits(line.net, unit)}"))
        )
    rows += [("ERP", _written_text(each, unit)) for each in line.written]
    rows += [("", Text(each, style="dim")) for each in line.rules]
    yield _rows(rows)


def _is_share(line: ExplainedLine, amount: Amount) -> bool:
    return amount.makes == "credit" and line.credit is not None


def _share_rows(line: ExplainedLine, unit: Decimal) -> Iterator[tuple[str, Text]]:
    share = line.credit
    if share is not None:
        shown = [digits(each, unit) for each in (share.share, share.credit, share.amount, share.bearable)]
        exact = digits(share.exact, unit)
        rounded = "" if share.exact == share.share else f" = {exact}, in whole units by largest remainder"
        text = "{}  its share of the store credit: {} x {} / {}".format(*shown)
        yield "credit", Text(f"{text}{rounded}")


def _amount_text(amount: Amount, unit: Decimal, currency: str = "") -> Text:
    """The amount, and where it comes from: one figure beside it, several below it as a sum."""
    text = Text(f"{digits(amount.value, unit)} {currency}".rstrip())
    alone = len(amount.figures) == 1 and amount.adds_up
    for at, figure in enumerate(amount.figures):
        sign = "-" if figure.value < 0 else "+" if at else " "
        shown = f"{sign} {digits(abs(figure.value), unit)}"
        text.append(f"  {figure.name}" if alone else f"\n  {shown}  {figure.name}")
        if figure.pointer:
            text.append(f'  {figure.pointer} "{figure.text}"', style="dim")
    if amount.adds_up is None and amount.value:
        text.append("  where it comes from cannot be told", style="dim")
    if amount.adds_up is False:
        text.append("\n  The figures do not come to it.", style="red")
    return text


def _written_text(line: WrittenLine, unit: Decimal) -> Text:
    """As in `2 x 18.00 - 3.60 = 32.40`, or `3 x 3.33333 = 9.99999, rounded 10.00` where the ERP rounds the product first."""
    product = line.quantity * line.unit_price
    text = f"{digits(line.quantity, _ONE)} x {digits(line.unit_price, unit)}"
    if product != line.net + line.discount:
        text += f" = {digits(product, unit)}, rounded {digits(line.net + line.discount, unit)}"
        text += f", - {digits(line.discount, unit)} = {digits(line.net, unit)}" if line.discount else ""
    else:
        text += f" - {digits(line.discount, unit)}" if line.discount else ""
        text += f" = {digits(line.net, unit)}"
    several = f"  (lines {', '.join(map(str, line.positions))} together)" if len(line.positions) > 1 else ""
    return Text(f"{line.kind} {line.number}: {text}{several}")


def _rows(rows: Sequence[tuple[str, Text]]) -> RenderableType:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", min_width=16)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(name, text)
    return Padding(table, (0, 0, 0, 2), expand=False)
