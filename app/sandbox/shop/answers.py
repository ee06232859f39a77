"""WordPress's way to write JSON and errors (contract section 2, "Shape")."""

from __future__ import annotations

import json
from typing import Any

JsonObject = dict[str, Any]


def encode(value: Any) -> bytes:
    """JSON exactly as PHP writes it: no spaces, ASCII only, slashes escaped."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode("ascii")


class ApiError(Exception):
    """An answer of the shape ``{"code", "message", "data": {"status": N, ...}}``."""

    def __init__(self, status: int, code: str, message: str, **data: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.data: JsonObject = {"status": status, **data}

    def body(self) -> JsonObject:
        """The error as the answer's body."""
        return {"code": self.code, "message": self.message, "data": self.data}


class ParamErrors:
    """Collects bad parameters, to answer all of them in one ``rest_invalid_param``."""

    def __init__(self) -> None:
        self.params: dict[str, str] = {}
        self.details: JsonObject = {}

    def add(self, name: str, code: str, message: str, data: Any = None) -> None:
        """Note one bad parameter; the first finding of a parameter counts."""
        if name not in self.params:
            self.params[name] = message
            self.details[name] = {"code": code, "message": message, "data": data}

    def raise_if_any(self) -> None:
        """Raise the 400, if anything was found."""
        if self.params:
            raise ApiError(
                400,
                "rest_invalid_param",
                f"Invalid parameter(s): {', '.join(self.params)}",
                params=self.params,
                details=self.details,
            )


def enum_text(choices: list[str]) -> str:
    """Choices as WordPress lists them: ``a, b, and c``; two are ``a and b``."""
    if len(choices) == 2:
        return f"{choices[0]} and {choices[1]}"
    return f"{', '.join(choices[:-1])}, and {choices[-1]}"


def filter_fields(value: Any, fields: str) -> Any:
    """``_fields`` (section 3): top names, and nested names of objects by ``a.b``.

    As in WordPress a nested name inside a list (``line_items.sku``) leaves the list empty.
    """
    wanted: JsonObject = {}
    for field in fields.replace(" ", ",").split(","):
        parts = field.split(".")
        if not field:
            continue
        level = wanted
        for part in parts[:-1]:
            deeper = level.get(part)
            if deeper is True:
                break
            if deeper is None:
                deeper = level[part] = {}
            level = deeper
        else:
            level[parts[-1]] = True
    return _intersect(value, wanted) if wanted else value


def _intersect(value: Any, wanted: JsonObject) -> Any:
    if isinstance(value, list):
        return []
    if not isinstance(value, dict):
        return value
    return {
        name: inner if wanted[name] is True else _intersect(inner, wanted[name])
        for name, inner in value.items()
        if name in wanted
    }
