"""How a connector presents itself: one `CONNECTOR` in its package, found by looking, so that adding one edits nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from app.domain.windows import Window
from app.ports.erp import Erp
from app.ports.limiters import Limiters
from app.ports.sales_channel import SalesChannel

if TYPE_CHECKING:
    from app.ports.hooks import Hooks


@dataclass(frozen=True, slots=True)
class Account:
    """One configured site or ERP, as a connector gets it. `settings` are what `read_settings` gave.

    `http_timeout` is in seconds and bounds one call. `company` is the ERP's company id where there is one. `limiters` are shared
    by all who call the same account; without them each connector limits itself.
    """

    name: str
    url: str
    allow_private: bool
    credentials: Mapping[str, str]
    settings: Mapping[str, Any]
    http_timeout: float
    company: str = ""
    limiters: Limiters | None = None


def plain_text(_key: str, value: object) -> str:
    """A stored setting as a person would type it, where its text is no other than that of its value."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return ",".join(value)
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)


@dataclass(frozen=True, slots=True)
class Connector:
    """What the rest of the program knows of a connector. `title` is the system's name as people write it.

    `read_settings` turns the strings a person typed into typed values (JSON-storable), defaults filled in, and raises
    `UsageError` naming the key, what is wrong with it and what would be right. `setting_text` is the way back: the key and
    its stored value in, a string out that `read_settings` reads as that value. `windows` are maintenance windows of this
    system that no setting removes. `late` is how long after a lost reply the system may still commit a write (T_LATE). `hooks` is None
    where the system sends no webhooks, or none that we read. `words` say what each credential and each setting is, in one sentence, for
    whoever types it; a name such as `country.XX` stands for settings of which there may be any number.
    """

    platform: str
    title: str
    port: Literal["sales_channel", "erp"]
    open: Callable[[Account], Any]
    read_settings: Callable[[Mapping[str, str]], dict[str, Any]]
    credentials: tuple[str, ...]
    setting_text: Callable[[str, Any], str] = plain_text
    windows: tuple[Window, ...] = field(default=())
    late: timedelta = timedelta(minutes=20)
    hooks: "Hooks | None" = None
    words: Mapping[str, str] = field(default_factory=dict)


OpenSalesChannel = Callable[[Account], SalesChannel]
OpenErp = Callable[[Account], Erp]
