"""The store: everything the use-cases ask of the database, on SQLite, PostgreSQL and MariaDB."""

from app.db.store.accounts import Accounts
from app.db.store.adopting import Adopting
from app.db.store.alerting import Alerting
from app.db.store.archive import Archive
from app.db.store.audit import Audit
from app.db.store.catalogue import Catalogue
from app.db.store.certificates import Certificates
from app.db.store.configuration import Configuration
from app.db.store.dashboard import Dashboard
from app.db.store.deliveries import Deliveries
from app.db.store.desk import Desk
from app.db.store.error_counts import ErrorCounts
from app.db.store.error_lists import ErrorLists
from app.db.store.explaining import Explaining
from app.db.store.hooks import HooksAndAlerts
from app.db.store.items import Items
from app.db.store.listing import Listing
from app.db.store.looking import Looking
from app.db.store.measures import Measuring
from app.db.store.owed import OwedSteps
from app.db.store.privacy import Privacy
from app.db.store.reading import Reading
from app.db.store.reporting import Reporting
from app.db.store.resuming import Resuming
from app.db.store.road import Road
from app.db.store.searching import Searching
from app.db.store.systems import Systems
from app.db.store.upkeep import Upkeep
from app.db.store.workbench import Workbench


class SqlStore(
    Configuration,
    Systems,
    Items,
    Reading,
    Road,
    OwedSteps,
    Upkeep,
    Adopting,
    Looking,
    Desk,
    ErrorLists,
    ErrorCounts,
    Reporting,
    Certificates,
    Deliveries,
    HooksAndAlerts,
    Audit,
    Archive,
    Privacy,
    Workbench,
    Resuming,
    Explaining,
    Accounts,
    Listing,
    Dashboard,
    Searching,
    Alerting,
    Measuring,
    Catalogue,
):
    """Implements `app.ports.store.Store` over one engine."""


__all__ = ["SqlStore"]
