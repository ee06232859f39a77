"""The alerts there are and were, and who was told of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.ports.alerting import AlertRow, Notice, Rule, Target
from app.ports.deliveries import AlertKind
from app.sync.panel.alert_rules import MEANINGS, Meaning, rules
from app.sync.panel.parts import Panel

PAGE = 50
_MOST_OPEN = 500


@dataclass(frozen=True, slots=True)
class Listed:
    """One alert, what its kind means and how urgent it is, and who was told of it or is to be."""

    alert: AlertRow
    meaning: Meaning
    rule: Rule
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class AlertPage:
    """`before` gives the next page of those that are over, where there is one."""

    open: Sequence[Listed]
    over: Sequence[Listed]
    before: int | None
    rules: Mapping[AlertKind, Rule]
    targets: tuple[Target, ...]


def alert_page(panel: Panel, *, before: int | None = None) -> AlertPage:
    """The alerts that are open, a page of those that are over, the rules and the targets."""
    all_rules = rules(panel.store)
    is_open = panel.store.alert_rows(is_open=True, limit=_MOST_OPEN)
    over = panel.store.alert_rows(is_open=False, before=before, limit=PAGE + 1)
    shown = over[:PAGE]
    notices = panel.store.alert_notices([each.id for each in (*is_open, *shown)])

    def listed(alert: AlertRow) -> Listed:
        return Listed(
            alert=alert,
            meaning=MEANINGS[alert.kind],
            rule=all_rules[alert.kind],
            notices=notices.get(alert.id, ()),
        )

    return AlertPage(
        open=[listed(each) for each in is_open],
        over=[listed(each) for each in shown],
        before=shown[-1].id if len(over) > PAGE else None,
        rules=all_rules,
        targets=panel.store.alert_targets(),
    )
