"""Faults ordered through the control door: what a gateway, a network or a slow server does to a request."""

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from app.sandbox.erp.calls import Answer, Dropped, refused
from app.sandbox.erp.errors import Refusal

_STATUSES = {
    "503": (503, "Internal_TenantUnavailable", "Service is under maintenance"),
    "429": (429, "Unknown", "Too many requests. Try again later."),
    "500": (500, "Internal_ServerError", "Cannot establish a connection to the SQL Server/Database."),
    "504": (504, "Unknown", "The gateway did not receive a response in time."),
    "408": (408, "Unknown", "The operation took longer than the allowed time."),
}
KINDS = (
    *_STATUSES, "reset", "reset_after", "timeout", "timeout_after", "late", "truncated", "html"
)  # fmt: skip
_PAGE = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Sign in</h1></body></html>\n"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and the requests it meets; `operation` looks at urls inside `$batch` instead."""

    id: int
    kind: str
    times: int
    method: str = ""
    path: str = ""
    operation: str = ""
    seconds: float = 1.0
    status: int = 200
    close: bool = False

    def meets(self, *, method: str, path: str) -> bool:
        """Whether it meets this request or, with `operation`, this operation's url."""
        if self.operation:
            return False
        return self.method in {"", method} and re.search(self.path, path) is not None


def _fault(number: int, order: Any) -> Fault:
    if not _is_well_formed(order):
        raise ValueError("A fault has match {method, path, operation}, times, kind, seconds, status, close.")
    match = order.get("match", {})
    kind, times, seconds = str(order.get("kind")), order.get("times", 1), order.get("seconds", 1)
    if kind not in KINDS:
        raise ValueError(f"The kind is one of {', '.join(KINDS)}.")
    if type(times) is not int or times < 1 or type(seconds) not in {int, Decimal}:
        raise ValueError("times is a whole number above 0, seconds a number.")
    fault = Fault(
        id=number,
        kind=kind,
        times=times,
        method=str(match.get("method", "")).upper(),
        path=str(match.get("path", "")),
        operation=str(match.get("operation", "")),
        seconds=float(seconds),
        status=int(order.get("status", 200)),
        close=bool(order.get("close", False)),
    )
    for pattern in (fault.path, fault.operation):
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"'{pattern}' is no regular expression: {error}.") from error
    return fault


def _is_well_formed(order: Any) -> bool:
    if not isinstance(order, dict) or not isinstance(order.get("match", {}), dict):
        return False
    known = {"match", "times", "kind", "seconds", "status", "close"}
    return order.keys() <= known and order.get("match", {}).keys() <= {"method", "path", "operation"}


class Faults:
    """The faults that wait; each is used up by the requests it meets."""

    def __init__(self, retry_after: Callable[[], int]) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []
        self._count = 0
        self._retry_after = retry_after

    def order(self, order: Any) -> dict[str, Any]:
        """Take a fault in; ValueError where it makes no sense."""
        with self._lock:
            self._count += 1
            fault = _fault(self._count, order)
            self._waiting.append(fault)
        return asdict(fault)

    def waiting(self) -> list[dict[str, Any]]:
        """The faults not yet used up."""
        with self._lock:
            return [asdict(fault) for fault in self._waiting]

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._waiting.clear()

    def take(self, *, method: str, path: str) -> Fault | None:
        """The first fault that meets this request, one use less."""
        return self._take(lambda fault: fault.meets(method=method, path=path))

    def take_operation(self, *, path: str, url: str) -> Fault | None:
        """The first fault that meets this operation of a batch, one use less."""
        return self._take(
            lambda fault: (
                bool(fault.operation)
                and fault.method in {"", "POST"}
                and re.search(fault.path, path) is not None
                and re.search(fault.operation, url) is not None
            )
        )

    def _take(self, meets: Callable[[Fault], bool]) -> Fault | None:
        with self._lock:
            for position, fault in enumerate(self._waiting):
                if meets(fault):
                    if fault.times == 1:
                        del self._waiting[position]
                    else:
                        self._waiting[position] = replace(fault, times=fault.times - 1)
                    return fault
        return None

    def apply(self, fault: Fault | None, work: Callable[[], Answer]) -> Answer:
        """Do the work as the fault lets it be done: not at all, later, or with its answer lost."""
        if fault is None:
            return work()
        match fault.kind:
            case "reset":
                raise Dropped
            case "timeout":
                raise Dropped(fault.seconds)
            case "html":
                return Answer(fault.status, _PAGE, {"Content-Type": "text/html"})
            case "reset_after":
                work()
                raise Dropped
            case "timeout_after":
                answer = work()
                time.sleep(fault.seconds)
                return answer
            case "truncated":
                return replace(work(), truncated=True)
            case "late":
                return self._later(fault, work)
            case status:
                return self._status(status)

    def _later(self, fault: Fault, work: Callable[[], Answer]) -> Answer:
        """Give up at once and commit the work afterwards: a request may run on for 8 minutes (section 4)."""

        def commit() -> None:
            with suppress(Dropped):
                work()

        timer = threading.Timer(fault.seconds, commit)
        timer.daemon = True
        timer.start()
        if fault.close:
            raise Dropped
        return self._status("408")

    def _status(self, kind: str) -> Answer:
        status, code, message = _STATUSES[kind]
        # Retry-After is promised for 503, not for 429 (section 5).
        headers = {"Retry-After": str(self._retry_after())} if status == 503 else {}
        return refused(Refusal(status, code, message, headers=headers))
