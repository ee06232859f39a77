"""What an answer of the shop's that is not what was asked for means, and what is to be done next."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from app.errors import Misconfigured, OrderSyncError, Reject, Retry, Unknown
from app.transport import Answer, parse_json

INVALID_ID = "woocommerce_rest_shop_order_invalid_id"
_LONGEST = 300
_KEY_PAGE = "WooCommerce > Settings > Advanced > REST API"


@dataclass(frozen=True, slots=True)
class Problem:
    """WordPress's own account of a failure; `code` is empty where the answer is none of WordPress's."""

    code: str = ""
    message: str = ""
    parameters: tuple[tuple[str, str], ...] = ()


def problem_of(answer: Answer) -> Problem:
    """The error object in an answer, an empty one where there is none."""
    try:
        return problem_in(parse_json(answer.text)) if answer.is_json else Problem()
    except ValueError:
        return Problem()


def problem_in(given: Any) -> Problem:
    """The error object `given`, an empty one where it is something else."""
    if not isinstance(given, dict) or not isinstance(given.get("code"), str):
        return Problem()
    data = given.get("data")
    parameters = data.get("params") if isinstance(data, dict) else None
    return Problem(
        code=given["code"],
        message=str(given.get("message", ""))[:_LONGEST],
        parameters=tuple((str(key), str(text)[:_LONGEST]) for key, text in parameters.items())
        if isinstance(parameters, dict)
        else (),
    )


def what_came(answer: Answer) -> str:
    """The answer in a few words, as in `503 Service Unavailable (text/html)`; never its body, which may hold a customer's data."""
    try:
        phrase = f" {HTTPStatus(answer.status).phrase}"
    except ValueError:
        phrase = ""
    problem = problem_of(answer)
    detail = (
        f"{problem.code}: {problem.message}" if problem.code else answer.content_type or "no content type"
    )
    return f"{answer.status}{phrase} ({detail})"


def read_failure(
    answer: Answer, *, encrypted: bool, statuses: str = "", setting: str = "statuses"
) -> OrderSyncError:
    """What a read that was not answered with 200 comes to. Nothing was changed, so it may be made again.

    `statuses` are those that were asked for, with commas between, and `setting` is where they come from.
    """
    final = _unknown_status(problem_of(answer), statuses, setting) or _misconfigured(
        answer, encrypted=encrypted
    )
    if final is not None:
        return final
    return Retry(f"The shop answered {what_came(answer)}.", after=answer.retry_after)


def without_rest_api(answer: Answer) -> OrderSyncError | None:
    """What it means that a page of the shop's own says 404: nothing listens under /wp-json/, not even to say so in JSON."""
    if answer.status != HTTPStatus.NOT_FOUND or problem_of(answer).code:
        return None
    return Misconfigured(
        "This address answers, but there is nothing under its /wp-json/. Check the address, and in WordPress that"
        " Settings > Permalinks is not Plain.",
        mend=("url",),
    )


def write_failure(answer: Answer, *, encrypted: bool) -> OrderSyncError:
    """What a write that was not answered with 200 comes to."""
    final = _misconfigured(answer, encrypted=encrypted)
    if final is not None:
        return final
    if answer.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        # Both are said by what stands before WooCommerce, so that nothing was written.
        return Retry(f"The shop answered {what_came(answer)}.", after=answer.retry_after)
    return Unknown(f"The shop answered a write with {what_came(answer)}.")


def refusal(order_id: str, given: Any) -> OrderSyncError | None:
    """What the error of one item of a batch comes to, None where it says that there is no such order."""
    problem = problem_in(given)
    if problem.code == INVALID_ID:
        return None
    data = given.get("data") if isinstance(given, dict) else None
    status = data.get("status") if isinstance(data, dict) else None
    if not problem.code or not isinstance(status, int) or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unknown(f"The shop failed to mark order {order_id} ({problem.code}: {problem.message}).")
    return Reject(
        f"The shop refuses to mark order {order_id} ({problem.code}: {problem.message}).", kind="platform"
    )


def _unknown_status(problem: Problem, statuses: str, setting: str) -> OrderSyncError | None:
    detail = dict(problem.parameters).get("status")
    if problem.code != "rest_invalid_param" or detail is None:
        return None
    # They name it by its place in the list only, as in `status[0] is not one of any, trash, ...`.
    place = re.match(r"status\[(\d{1,2})\]", detail)
    asked = statuses.split(",")
    named = asked[int(place[1])] if place and int(place[1]) < len(asked) else statuses
    return Misconfigured(f"The shop has no order status {named!r} ({detail})", mend=(f"set {setting}",))


def _misconfigured(answer: Answer, *, encrypted: bool) -> OrderSyncError | None:
    problem = problem_of(answer)
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return _unauthorized(problem, encrypted=encrypted)
    if answer.status == HTTPStatus.FORBIDDEN and problem.code:
        return Misconfigured(
            f"The user of the API key may not do this ({problem.message}); give the key to a shop manager."
        )
    if answer.status == HTTPStatus.NOT_FOUND and problem.code == "rest_no_route":
        return Misconfigured(
            "This address answers, but has no WooCommerce REST API v3; check the address and that WooCommerce is active.",
            mend=("url",),
        )
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Misconfigured(
            f"The shop takes fewer orders in one request than we send ({problem.message or what_came(answer)})."
        )
    return None


def _unauthorized(problem: Problem, *, encrypted: bool) -> OrderSyncError:
    said = problem.message.lower()
    if "nonce" in said:
        # Each attempt has a nonce of its own: what was refused is somebody's replay of it.
        return Retry(f"The shop refused a request as already used ({problem.message})")
    if "timestamp" in said:
        return Misconfigured(
            f"The shop refuses the time of our requests ({problem.message}); set the clocks of both machines."
        )
    if "secret" in said or "signature" in said:
        return Misconfigured(
            f"The consumer secret is wrong ({problem.message}); set the credential secret anew.",
            mend=("credential secret",),
        )
    if "write permission" in said:
        return Misconfigured(
            f"The API key may only read ({problem.message}) Give it Read/Write under {_KEY_PAGE}."
        )
    if "read permission" in said:
        return Misconfigured(
            f"The API key may only write ({problem.message}) Give it Read/Write under {_KEY_PAGE}."
        )
    way = (
        "a proxy may take the Authorization header away"
        if encrypted
        else "over http only OAuth 1.0a counts, which a proxy may take away"
    )
    return Misconfigured(
        f"The shop does not know the API key ({problem.message or 'no reason given'})"
        f" Check the credential key under {_KEY_PAGE}; {way}.",
        mend=("credential key", "credential secret"),
    )
