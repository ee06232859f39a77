"""What an answer of the store's that is not what was asked for means, and what is to be done next."""

from http import HTTPStatus

from app.errors import Misconfigured, OrderSyncError, Reject, Retry, Unknown
from app.transport import Answer, parse_json

LONGEST_WAIT = 3600.0
"""Seconds that a store is left alone at most; a longer wait is asked for again."""
_LONGEST = 300
_ACCOUNTS_PAGE = "Settings > Store-level API accounts"
_READ_SCOPES = "Orders (modify), Order transactions (read-only) and Information & settings (read-only)"
_GOOD = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT)
_REFUSED = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.UNPROCESSABLE_ENTITY)
_TRANSIENT = {
    HTTPStatus.REQUEST_TIMEOUT: "The store took too long to read the request.",
    HTTPStatus.CONFLICT: "Somebody else is changing the same thing.",
    HTTPStatus.LOCKED: "The order is locked by somebody else.",
    HTTPStatus.TOO_MANY_REQUESTS: "The store's quota of requests is used up.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The store is busy, down for maintenance, suspended or unpaid; if it lasts, look at the store's own page.",
}
"""Statuses that say more than their names do."""


def said(answer: Answer) -> str:
    """The store's own account of a failure, empty where there is none: V2 sends a list, V3 an object, either may send a page."""
    try:
        given = parse_json(answer.text) if answer.is_json else None
    except ValueError:
        return ""
    if isinstance(given, dict) and isinstance(given.get("data"), list):
        given = given["data"]
    if isinstance(given, list):
        given = given[0] if given else None
    if not isinstance(given, dict):
        return ""
    texts = [given.get(key) for key in ("message", "title", "detail", "error")]
    faults = given.get("errors")
    if isinstance(faults, dict):
        texts += [f"{key}: {text}" for key, text in faults.items() if isinstance(text, str)]
    return "; ".join(text.strip().rstrip(".") for text in texts if isinstance(text, str))[:_LONGEST]


def what_came(answer: Answer) -> str:
    """The answer in a few words, as in `503 Service Unavailable (text/html)`; never its body, which may hold a customer's data."""
    try:
        phrase = f" {HTTPStatus(answer.status).phrase}"
    except ValueError:
        phrase = ""
    return f"{answer.status}{phrase} ({said(answer) or answer.content_type or 'no content type'})"


def says_missing(answer: Answer) -> bool:
    """Whether the store itself says that there is no such thing; a proxy's page or an empty 404 does not count."""
    return answer.status == HTTPStatus.NOT_FOUND and bool(said(answer))


def good(answer: Answer, *, about: str = "orders") -> Answer:
    """The answer to a read, if it is a good one; else raises what it comes to."""
    if answer.status not in _GOOD:
        raise read_failure(answer, about=about)
    return answer


def good_list(answer: Answer) -> Answer:
    """The answer to a list of orders, which every store has, if it is a good one; else raises what it comes to."""
    missing = wrong_address(answer)
    if missing is not None:
        raise missing
    if answer.status in _REFUSED and said(answer):
        # The same request would be refused for ever.
        raise Misconfigured(f"The store refuses to list its orders: {what_came(answer)}.")
    return good(answer)


def asked_wait(answer: Answer) -> float | None:
    """Seconds that the store asks us to wait, by the longer of its two headers, an hour at most; None where it does not say."""
    own = answer.headers.get("X-Retry-After", "").strip()
    waits: list[float] = [] if answer.retry_after is None else [answer.retry_after]
    if own.isascii() and own.isdigit():
        waits.append(min(int(own[:10]), LONGEST_WAIT))
    return max(waits, default=None)


def read_failure(answer: Answer, *, about: str = "orders") -> OrderSyncError:
    """What a read that was not answered with 200 or 204 comes to. Nothing was changed, so it may be made again.

    `about` names what was asked for, as in `orders` or `transactions`.
    """
    final = _misconfigured(answer, about=about)
    if final is not None:
        return final
    return Retry(_sentence(f"The store answered the call for {about} with", answer), after=asked_wait(answer))


def write_failure(answer: Answer, *, order_id: str) -> OrderSyncError:
    """What an update of one order that was not answered with 200 comes to."""
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        reason = f"The staff notes of order {order_id} are too long for the store ({what_came(answer)}); shorten them there."
        return Reject(reason, kind="platform", field="/staff_notes")
    final = _misconfigured(answer, about="writing orders")
    if final is not None:
        return final
    match answer.status:
        case HTTPStatus.NOT_FOUND if says_missing(answer):
            return Reject(f"The store has no order {order_id} any more.", kind="gone")
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.CONFLICT | HTTPStatus.LOCKED:
            # All three are said before anything is written.
            return Retry(
                _sentence(f"The store did not update order {order_id}:", answer), after=asked_wait(answer)
            )
        case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY if said(answer):
            return Reject(
                f"The store refuses to mark order {order_id}: {what_came(answer)}.", kind="platform"
            )
        case _:
            return Unknown(_sentence(f"The store answered the update of order {order_id} with", answer))


def _sentence(opening: str, answer: Answer) -> str:
    try:
        explained = _TRANSIENT.get(HTTPStatus(answer.status), "")
    except ValueError:
        explained = ""
    return f"{opening} {what_came(answer)}. {explained}".strip()


def _misconfigured(answer: Answer, *, about: str) -> Misconfigured | None:
    match answer.status:
        case HTTPStatus.UNAUTHORIZED:
            return Misconfigured(
                f"The store does not know the API token ({what_came(answer)}); set the credential token anew"
                f" from {_ACCOUNTS_PAGE}, and check that the address has this store's hash.",
                mend=("credential token", "url"),
            )
        case HTTPStatus.FORBIDDEN:
            return Misconfigured(
                f"The API token may not do this ({about}: {what_came(answer)}); make one with the scopes {_READ_SCOPES}"
                f" under {_ACCOUNTS_PAGE}.",
                mend=("credential token",),
            )
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return Misconfigured(
                f"The store takes less in one request than we ask for ({what_came(answer)})."
            )
        case _:
            return None


def wrong_address(answer: Answer) -> Misconfigured | None:
    """What it means that a list of orders, which every store has, is not found."""
    if not says_missing(answer):
        return None  # A proxy's page is no word of the store's.
    return Misconfigured(
        f"There is no store at this address ({what_came(answer)}); it must be like https://api.bigcommerce.com/stores/abc123.",
        mend=("url",),
    )
