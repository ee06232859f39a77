"""Forms that people fill in: what was typed is never lost when it is refused."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import ParamSpec

from app.errors import OrderSyncError
from app.web.panel.access import Answer

P = ParamSpec("P")


def shown_again(form: Callable[..., str]) -> Callable[[Callable[P, Answer]], Callable[P, Answer]]:
    """What is refused shows its form again: `form` gets the page's own arguments and the sentence as `refused`.

    Stands above `changes`, so that the refusal is noted as one.
    """

    def of(view: Callable[P, Answer]) -> Callable[P, Answer]:
        @wraps(view)
        def answered(*args: P.args, **kwargs: P.kwargs) -> Answer:
            try:
                return view(*args, **kwargs)
            except OrderSyncError as error:
                return form(*args, refused=error.reason, **kwargs), HTTPStatus.UNPROCESSABLE_ENTITY

        return answered

    return of
