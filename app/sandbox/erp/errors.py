"""Business Central's refusals: one shape, five families (contract section 4, "Errors")."""

from typing import Any
from uuid import uuid4


class Refusal(Exception):
    """A request Business Central answers with an error; nothing it asked for was done."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The error as sent: a code, and a message that ends in the correlation id."""
        message = f"{self.message}  CorrelationId:  {uuid4()}."
        return {"error": {"code": self.code, "message": message}}


def bad_request(message: str, *, code: str = "BadRequest") -> Refusal:
    """A request that is formed wrongly: the `BadRequest_*` family."""
    return Refusal(400, code, message)


def resource_not_found(segment: str) -> Refusal:
    """An address that names no resource."""
    return Refusal(404, "BadRequest_ResourceNotFound", f"Resource not found for the segment '{segment}'.")


def record_not_found(table: str, key: str) -> Refusal:
    """A key that names no record, as for an order that was shipped and invoiced (section 2)."""
    return Refusal(
        404,
        "Internal_RecordNotFound",
        f"The {table} does not exist. Identification fields and values: Id='{{{key}}}'",
    )


def read_only(control: str) -> Refusal:
    """A property that is `Editable = false` was written (section 2, salesOrders)."""
    return bad_request(f"Control '{control}' is read-only.", code="BadRequest_InvalidOperation")


def dialog(message: str) -> Refusal:
    """An `Error()` raised by the application."""
    return Refusal(400, "Application_DialogException", message)


def field_validation(message: str) -> Refusal:
    """A `TestField` that failed."""
    return Refusal(400, "Application_FieldValidationException", message)


def too_long(value: str, limit: int) -> Refusal:
    """A text longer than its field: never cut (section 7)."""
    return Refusal(
        400,
        "Application_StringExceededLength",
        f"The length of the string is {len(value)}, but it must be less than or equal to {limit} "
        f"characters. Value: {value}",
    )


def no_relation(*, field: str, table: str, value: str, related: str) -> Refusal:
    """A code or number that is not in the table it must come from."""
    return Refusal(
        400,
        "Internal_InvalidTableRelation",
        f"The field {field} of table {table} contains a value ({value}) that cannot be found in the "
        f"related table ({related}).",
    )


def entity_changed() -> Refusal:
    """A stale `If-Match` (section 4, ETag)."""
    return Refusal(409, "Request_EntityChanged", "Another user has already changed the record.")


def token_missing() -> Refusal:
    """A change without `If-Match` (section 4, ETag)."""
    return bad_request(
        "Could not validate the client concurrency token required by the service. Please provide a "
        "valid token in the client request.",
        code="BadRequest_InvalidToken",
    )


def method_not_allowed(method: str, entity: str) -> Refusal:
    """A verb the entity does not take."""
    return Refusal(
        405,
        "BadRequest_MethodNotAllowed",
        f"'{method}' requests for '{entity}' of EdmType 'Entity' are not allowed within Microsoft "
        "Dynamics NAV OData web services.",
    )
