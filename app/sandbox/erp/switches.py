"""What can be set while the sandbox runs: the contract's open points (section 8), limits, and oddities."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any


@dataclass(slots=True)
class Switches:
    """Each default is the contract's figure or, where that is not settled, the stricter reading."""

    strict_plus: bool = True
    """A literal `+` in a query string is refused (section 3, "text")."""
    or_across_fields: bool = False
    """`or` over distinct fields is allowed (section 3 says it is not)."""
    filter_length_checked: bool = False
    """A literal longer than its Code field makes a filter fail, as Microsoft's error code table shows."""
    read_only_ignored: bool = False
    """Read-only properties in a POST are skipped instead of refused (section 8)."""
    json_order: bool = True
    """Line properties are validated in the order sent; off, in the page's order (section 2, lines)."""
    lines_in_answer: bool = False
    """The 201 of a deep insert holds the lines without being asked (section 8)."""
    stale_totals: bool = True
    """The totals in the 201 of a deep insert are those of the header before its lines."""
    byte_order_mark: bool = False
    """JSON answers begin with a byte order mark (section 3, "body")."""
    tax_percent: Decimal = Decimal(10)
    """What Business Central itself adds to each line that is not untaxed."""
    token_seconds: Decimal = Decimal(3599)
    """How long a token is good for (section 1)."""
    page_limit: int = 20_000
    """Rows in a page at most (section 5)."""
    batch_limit: int = 100
    """Operations in one `$batch` at most (section 4)."""
    rate_limit: int = 6000
    """Requests in the sliding window before 429 (section 5); 0 for no limit."""
    rate_seconds: Decimal = Decimal(300)
    """The length of that window."""
    running_limit: int = 5
    """Requests worked on at once (section 5); 0 for no limit."""
    waiting_limit: int = 95
    """Requests that wait for a turn; one more is answered 429."""
    waiting_seconds: Decimal = Decimal(480)
    """How long one waits before it is answered 503."""
    retry_after: int = 30
    """`Retry-After` of a 503, in seconds; 429 carries none (section 5)."""

    def as_dict(self) -> dict[str, Any]:
        """Every switch and its present value."""
        return asdict(self)

    def update(self, changes: Mapping[str, Any]) -> None:
        """Set several at once; an unknown name or a wrong type raises ValueError and sets none."""
        known = {f.name: type(getattr(self, f.name)) for f in fields(self)}
        accepted: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"There is no switch named '{name}'.")
            wanted = known[name]
            if wanted is Decimal and isinstance(value, (int, Decimal)) and not isinstance(value, bool):
                accepted[name] = Decimal(value)
            elif type(value) is wanted:
                accepted[name] = value
            else:
                raise ValueError(f"The switch '{name}' takes a value of type {wanted.__name__}.")
        for name, value in accepted.items():
            setattr(self, name, value)
