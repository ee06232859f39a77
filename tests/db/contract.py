"""All that a database's store promises, in one class to inherit."""

from tests.contracts.store import StoreContract
from tests.contracts.store_adopt import AdoptContract
from tests.contracts.store_archive import ArchiveContract
from tests.contracts.store_deliveries import DeliveriesContract
from tests.contracts.store_explaining import ExplainingContract
from tests.contracts.store_reading import ReadingContract
from tests.contracts.store_reporting import ReportingContract
from tests.contracts.store_systems import DeskContract, SystemsContract
from tests.contracts.store_workbench import WorkbenchContract


class WholeContract(
    StoreContract,
    SystemsContract,
    DeskContract,
    DeliveriesContract,
    ReadingContract,
    AdoptContract,
    WorkbenchContract,
    ReportingContract,
    ExplainingContract,
    ArchiveContract,
):
    """Every part of the contract. A subclass gives `harness`."""
