"""What answers are made of: JSON as the platform writes it, and its two shapes of error (contract section 9)."""

from __future__ import annotations

import json
from typing import Any

JsonObject = dict[str, Any]


class ApiError(Exception):
    """A refusal. V2 tells it as an array, V3 as an object."""

    def __init__(self, status: int, message: str, errors: JsonObject | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors

    def body(self, *, version: int) -> Any:
        """The body of the answer in the shape of an API version."""
        if version == 2:
            return [{"status": self.status, "message": self.message}]
        shown: JsonObject = {
            "status": self.status,
            "title": self.message,
            "type": "/api-docs/getting-started/api-status-codes",
        }
        return shown if self.errors is None else {**shown, "errors": self.errors}


def not_found() -> ApiError:
    """The 404 of everything that is not there."""
    return ApiError(404, "The requested resource was not found.")


def unsupported(field: str) -> ApiError:
    """The 400 of a name the resource does not know, as parameter or as field."""
    return ApiError(400, f"The field '{field}' is not supported by this resource.")


def read_only(field: str) -> ApiError:
    """The 400 of a field that cannot be written."""
    return ApiError(
        400,
        f"The field '{field}' cannot be written to. Please remove it from your request before trying again.",
    )


def invalid(field: str) -> ApiError:
    """The 400 of a value that cannot be."""
    return ApiError(400, f"The field '{field}' is invalid.")


def encode(body: Any) -> bytes:
    """A body as bytes."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
