"""What people's doors ask of the database, beyond what the road and the desk ask."""

from typing import Protocol

from app.ports.accounts import AccountStore
from app.ports.alerting import AlertingStore
from app.ports.catalogue import CatalogueStore
from app.ports.dashboard import DashboardStore
from app.ports.error_counts import ErrorCountStore
from app.ports.listing import ListingStore
from app.ports.measures import MeasureStore
from app.ports.searching import SearchStore
from app.ports.store import Store


class PanelStore(
    Store,
    AccountStore,
    ListingStore,
    DashboardStore,
    SearchStore,
    AlertingStore,
    ErrorCountStore,
    CatalogueStore,
    MeasureStore,
    Protocol,
):
    """The database, as the panel, the API and the alerts see it."""


class Passwords(Protocol):
    """Passwords as they are kept."""

    def hashed(self, password: str) -> str:
        """What is stored of a password."""
        ...

    def fits(self, password: str, stored: str | None) -> bool:
        """Whether it is the password. Takes as long where nothing is stored."""
        ...
