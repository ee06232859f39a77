"""Orders whose people cannot be mistaken for anything else, peers that quote them, and what is looked for in all that is written."""

import base64
import binascii
import copy
import html
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any
from urllib.parse import quote, unquote_plus

from app.sandbox.shop import recorded_orders

OFFSET = 10_000
QUOTED_ORDER = 10_105
"""The shop's id of an order that a worker with a fault of its own cannot normalize."""
NAMES = ("first_name", "last_name", "company", "address_1", "address_2", "city", "postcode", "email", "phone")
PROGRAM_WORDS = {
    # Recorded orders whose "people" are named after what the order is there to show.
    *("by", "gift", "hand", "lines", "metre", "no", "order", "prices_include_tax", "round_at_subtotal"),
    *("store", "test"),
    # The second line of a recorded note, and the second line of a program in any trace.
    "line 2",
}


def unmistakable(body: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a recorded order with an id of its own and a person of its own; what is empty stays empty."""
    made = copy.deepcopy(dict(body))
    number = made["id"] + OFFSET
    made |= {"id": number, "number": str(number), "order_key": f"wc_order_private{number}"}
    made["customer_ip_address"] = f"203.0.{number % 200}.{number // 200}"
    made["customer_user_agent"] = f"Browser-of-{number}"
    made["customer_note"] = f"Bell of {number} is\r\nbroken, ring twice"
    for side in ("billing", "shipping"):
        given = made[side]
        person = {
            "first_name": f"Person-{number}",
            "last_name": f"Ünal-{number}-{side}",
            "company": f"Company {number} & Søns",
            "address_1": f"Hidden Lane {number}",
            "address_2": f"Door {number}",
            "city": f"Privatown {number}",
            "email": f"person-{number}@private-{number}.test",
            "phone": f"+49 {number} 99",
        }
        made[side] |= {name: text for name, text in person.items() if given.get(name)}
    return made


def unmistakable_orders() -> list[dict[str, Any]]:
    return [unmistakable(body) for body in recorded_orders()]


def personal(bodies: Iterable[Mapping[str, Any]]) -> set[str]:
    """Everything in these orders that belongs to a person. Not the state and the country, which name nobody."""
    found: set[str] = set()
    for body in bodies:
        for side in ("billing", "shipping"):
            found |= {body[side].get(name) or "" for name in NAMES}
            street = body[side].get("address_1") or ""
            found.add(street.partition(" ")[2])
        found |= {body.get(name) or "" for name in ("customer_ip_address", "order_key", "transaction_id")}
        found |= {line.strip() for line in (body.get("customer_note") or "").splitlines()}
    return {text for text in found if text}


def sought(texts: Iterable[str], *, known_numbers: set[str]) -> tuple[set[str], set[str]]:
    """The texts to look for, and those that are left out.

    Left out are single characters, the program's own words in the recorded orders, and numbers that are a process or a port of
    this very run.
    """
    left_out = {
        text for text in texts if len(text) == 1 or text.lower() in PROGRAM_WORDS or text in known_numbers
    }
    return set(texts) - left_out, left_out


def stands_in(wanted: str, read: str, lowered: str) -> int | None:
    """Where the text stands. Up to four characters, and numbers, count only as words of their own."""
    if wanted.isdigit() or len(wanted) <= 4:
        match = re.search(rf"(?<![\w.-]){re.escape(wanted)}(?![\w.-])", read) if wanted in read else None
        return None if match is None else match.start()
    place = lowered.find(wanted.lower())
    return None if place < 0 else place


_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")


def readings(text: str) -> str:
    """The text in every guise that it may have been written in: as it is, and with each kind of escape undone."""
    plain = _ESCAPED.sub(lambda found: chr(int(found[1] or found[2], 16)), text.replace("\\\\", "\\"))
    decoded = [text, plain, _as_utf8(plain), unquote_plus(text), html.unescape(text)]
    for found in _BASE64.findall(text):
        try:
            decoded.append(base64.b64decode(found, validate=True).decode("utf-8"))
        except (binascii.Error, UnicodeDecodeError):
            continue
    return "\n".join(decoded)


def _as_utf8(text: str) -> str:
    """Bytes that were shown one by one, put together again."""
    return text.encode("latin-1", "ignore").decode("utf-8", "ignore")


class Quoting:
    """Stands before the applications of shop and ERP and lets some requests fail with an answer that quotes people."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: list[tuple[str, re.Pattern[str], int, int]] = []
        self._refused: dict[str, str] = {}
        self.quoted = 0

    def plan(self, method: str, path: str, *, status: int, times: int = 1) -> None:
        """Answer the next requests of this kind with this status, and a message that quotes the request."""
        with self._lock:
            self._plans += [(method, re.compile(path), status, 1)] * times

    def refuse(self, external_number: str, *, message: str) -> None:
        """Let the ERP refuse this order with this message."""
        self._refused[external_number] = message

    def before(self, app: Any) -> Any:
        def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            body = environ["wsgi.input"].read()
            environ["wsgi.input"] = BytesIO(body)
            status = self._planned(environ["REQUEST_METHOD"], environ["PATH_INFO"])
            if status is not None:
                said = unquote_plus(environ.get("QUERY_STRING", "")) + body.decode("utf-8", "replace")
                return _error(start_response, status, f"This cannot be: {_people(said)}")
            if environ["PATH_INFO"].endswith("/$batch") and self._refused:
                return self._batch(app, environ, body, start_response)
            result: Iterable[bytes] = app(environ, start_response)
            return result

        return answer

    def _planned(self, method: str, path: str) -> int | None:
        with self._lock:
            for place, (wanted, pattern, status, _) in enumerate(self._plans):
                if wanted == method and pattern.search(path):
                    del self._plans[place]
                    self.quoted += 1
                    return status
        return None

    def _batch(
        self, app: Any, environ: dict[str, Any], body: bytes, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """The batch without the refused orders, whose answers are put in beside those of the others."""
        asked = json.loads(body)
        refused = {
            each["id"]: self._refused[each["body"]["externalDocumentNumber"]]
            for each in asked["requests"]
            if each.get("body", {}).get("externalDocumentNumber") in self._refused
        }
        self.quoted += len(refused)
        asked["requests"] = [each for each in asked["requests"] if each["id"] not in refused]
        changed = json.dumps(asked).encode()
        environ |= {"wsgi.input": BytesIO(changed), "CONTENT_LENGTH": str(len(changed))}
        told: list[Any] = []
        parts = app(environ, lambda *given: told.append(given))
        status, headers = told[0][:2]
        given = b"".join(parts)
        if not status.startswith("200"):
            start_response(status, headers)
            return [given]
        answer = json.loads(given)
        for number, message in refused.items():
            error = {"error": {"code": "Application_DialogException", "message": message}}
            answer["responses"].append({"id": number, "status": 400, "headers": {}, "body": error})
        start_response(status, [pair for pair in headers if pair[0].lower() != "content-length"])
        return [json.dumps(answer).encode()]


def _people(said: str) -> str:
    found = re.findall(r"[\w.+-]+@[\w.-]+|Person-\d+|Hidden Lane \d+", said)
    return ", ".join(dict.fromkeys(found)) or f"Person-{QUOTED_ORDER} of Hidden Lane {QUOTED_ORDER}"


def _error(start_response: Callable[..., Any], status: int, message: str) -> Iterable[bytes]:
    # In WordPress's shape and in Business Central's.
    body = {"code": "private_error", "message": message, "error": {"code": "Private", "message": message}}
    start_response(f"{status} Private", [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


def credentials_of(*values: str) -> set[str]:
    """Secrets as they are, and in the forms in which they are sent."""
    pairs = {base64.b64encode(f"{a}:{b}".encode()).decode() for a in values for b in values if a != b}
    return {*values, *pairs, *(quote(each, safe="") for each in values)}


def found_in(sources: Mapping[str, str], texts: Iterable[str]) -> Iterator[str]:
    """Where anything that is looked for stands."""
    wanted = list(texts)
    for source, text in sources.items():
        # What is said again and again is read once.
        read = readings("\n".join(dict.fromkeys(text.splitlines())))
        lowered = read.lower()
        for each in wanted:
            place = stands_in(each, read, lowered)
            if place is not None:
                yield f"{each!r} in {source}: ...{read[max(0, place - 80) : place + len(each) + 80]!r}..."


def numbers_of(lines: Sequence[Mapping[str, Any]], *more: int) -> set[str]:
    """Process ids and ports of this run, which may by chance be somebody's postcode."""
    return {str(each["pid"]) for each in lines} | {str(each) for each in more}
