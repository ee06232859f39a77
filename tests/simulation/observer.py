"""Stands before the store and looks: nobody claims what another works on, and whoever has lost a lease changes nothing."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.simulation.checker import Checker
from tests.simulation.stores import Rows

_CLAIMS = ("claim", "claim_steps")
_UNDER_A_TOKEN = ("settle", "write", "intend", "settle_steps")
_WATCHED = ("rm_thread", "rm_step")


class Observer:
    """The store, looked at before and after each change that needs a lease."""

    def __init__(self, store: object, rows: Rows, checker: Checker, *, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._rows = rows
        self._checker = checker
        self._vain: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name in _UNDER_A_TOKEN:
            method = self._under_a_token(name, method)
        elif name in _CLAIMS:
            method = self._claim(method)
        elif name == "store_page":
            method = self._page(method)
        self.__dict__[name] = method
        return method

    def _under_a_token(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, token: str, **kwargs: Any) -> Any:
            ours = {row["id"] for row in self._rows("rm_thread") if row["lease_token"] == token}
            ours |= {row["thread_id"] for row in self._rows("rm_step") if row["lease_token"] == token}
            before = self._others(ours)
            held = self._with_token(token)
            found = method(*args, token=token, **kwargs)
            for place in held.keys() - self._with_token(token).keys():
                del self._vain[place]
            if self._others(ours) != before:
                self._checker.fail("stale", f"{name} changed an order whose lease it did not have")
            return found

        return call

    def _claim(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, token: str, **kwargs: Any) -> Any:
            leased = self._leased()
            found = method(*args, token=token, **kwargs)
            for place, holder in self._leased().items():
                if leased.get(place, holder) != holder:
                    self._checker.fail("lease", f"{place} was claimed although somebody works on it")
            for place, thread_id in self._with_token(token).items():
                # Those before this one came to nothing: whoever settles one begins to count anew.
                cut_off = self._checker.cut_off
                cut_off[thread_id] = max(cut_off[thread_id], self._vain[place])
                self._vain[place] += 1
            return found

        return call

    def _with_token(self, token: str) -> dict[str, int]:
        """What this token has, with the orders that it is of."""
        return {
            f"{table} {row['id']}": row.get("thread_id", row["id"])
            for table in _WATCHED
            for row in self._rows(table)
            if row["lease_token"] == token
        }

    def _leased(self) -> dict[str, str]:
        """Who has a lease on what, as far as it has not ended."""
        now = self._now()
        return {
            f"{table} {row['id']}": row["lease_token"]
            for table in _WATCHED
            for row in self._rows(table)
            if row["lease_until"] is not None and row["lease_until"] > now
        }

    def _others(self, ours: set[int]) -> list[dict[str, Any]]:
        """The rows of all orders but these, without their trail: what was sent is told of, whoever has the order by now."""
        return [
            {**row, "event_count": None, "event_head": None}
            for table in _WATCHED
            for row in self._rows(table)
            if row.get("thread_id", row["id"]) not in ours
        ]

    def _page(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*, site_id: int, token: str, **kwargs: Any) -> Any:
            sites = {row["id"]: dict(row) for row in self._rows("rm_sites")}
            before = self._others(set())
            found = method(site_id=site_id, token=token, **kwargs)
            if sites[site_id]["lease_token"] == token:
                self._checker.page_stored(site_id)
            elif self._others(set()) != before or sites != {
                row["id"]: dict(row) for row in self._rows("rm_sites")
            }:
                self._checker.fail(
                    "stale", "store_page changed something of a site whose lease it did not have"
                )
            return found

        return call
