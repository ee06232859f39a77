"""What stands in the addresses of the API."""

from typing import Any, ClassVar

from werkzeug.routing import BaseConverter, ValidationError

HIGHEST = 2**31 - 1
"""The highest id of a row; PostgreSQL refuses to look for a higher one."""


class Id(BaseConverter):
    """The id of a row. What cannot be one is found nowhere."""

    regex = "[0-9]{1,10}"
    FORM: ClassVar[dict[str, Any]] = {"type": "integer", "minimum": 1, "maximum": HIGHEST}

    def to_python(self, value: str) -> int:
        """The id. Raises `ValidationError`."""
        found = int(value)
        if not 0 < found <= HIGHEST:
            raise ValidationError
        return found
