"""What a person does once for real shops and a real ERP, with the sandboxes' keys."""

import io
from dataclasses import dataclass

from app.bootstrap import Program, sync_items
from app.demo.peers import Peers, post
from app.sync.configure import Asked, add_erp, add_site
from app.sync.items import import_kits

_KITS = "parent_sku,component_sku,quantity\nKIT-PARENT-123,COMP-A,3\nKIT-PARENT-123,COMP-B,1\n"
_COMPANY = "7dbba574-5f6f-4d2a-9a3c-2f6b0c1d9e01"
_ACCOUNTS = {"shipping": "40400", "tax": "40500", "fee": "40600", "gift_card": "40700", "rounding": "40900"}
_LATE_ITEM = {"number": "BIG-1", "displayName": "Item that arrives after the item sync"}
_T_LATE = "5"


@dataclass(frozen=True, slots=True)
class DemoSite:
    """One of the demo's sites, and the sandbox behind it."""

    name: str
    id: int
    shop: str


@dataclass(frozen=True, slots=True)
class Connected:
    """The sites, and how many items are known."""

    sites: tuple[DemoSite, ...]
    items: int


def connect(program: Program, peers: Peers) -> Connected:
    """Connect the ERP and both shops, and read the ERP's items."""
    parts = program.parts
    erp_id = add_erp(
        parts,
        Asked(
            name="bc",
            platform="business_central",
            url=f"{peers.erp}/api/v2.0",
            allow_private=True,
            credentials={
                "token_url": f"{peers.erp}/sandbox/oauth2/v2.0/token",
                "client_id": "sandbox-client",
                "client_secret": "sandbox-secret",
            },
            settings={
                "default_customer": "WEB-CASH",
                "create_customers": "true",
                "t_late": _T_LATE,
                **{f"account.{name}": number for name, number in _ACCOUNTS.items()},
            },
        ),
        company=_COMPANY,
    )
    sites = (
        ("bgm", "BGM", "woocommerce", peers.shop, peers.shop, {"key": "ck_sandbox", "secret": "cs_sandbox"}),
        (
            "bcm",
            "BCM",
            "bigcommerce",
            peers.bigcommerce,
            f"{peers.bigcommerce}/stores/sandbox1",
            {"token": "bc_sandbox_token", "client_secret": "bc_sandbox_client_secret"},
        ),
    )
    added = [
        DemoSite(
            name=name,
            shop=shop,
            id=add_site(
                parts,
                Asked(
                    name=name,
                    platform=platform,
                    url=url,
                    allow_private=True,
                    credentials=credentials,
                    settings={"max_orders_per_run": "10000"},
                ),
                prefix=prefix,
                erp=None,
            ),
        )
        for name, prefix, platform, shop, url, credentials in sites
    ]
    import_kits(parts, lines=io.StringIO(_KITS))
    items = sync_items(parts, erp_id=erp_id)
    # An item the ERP learns of only now: the order that names it is held until the next item sync brings it.
    post(f"{peers.erp}/_sandbox/items", _LATE_ITEM)
    return Connected(sites=tuple(added), items=items.new)
