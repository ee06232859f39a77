"""Every page in a real browser: accessible to everybody, quiet on the console, and never executing what a shop sent."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from app.ports.accounts import Role
from app.web import RunningServer
from tests.pipeline.world import Json, MakeWorld, World, kit_order, plain_order
from tests.web.browser.conftest import Window, window
from tests.web.office import PASSWORD, Office

pytestmark = pytest.mark.browser

HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\"'>{{7*7}}\u202e"
)
PARTS = {"/systems/schedule", "/workers/alive"}
"""What pages ask for and put into themselves."""

SERIOUS = {"serious", "critical"}


def hostile_order(order_id: int, *, sku: str = "WID-001") -> Json:
    body = plain_order(order_id)
    for name in ("first_name", "last_name", "company", "address_1", "city"):
        body["billing"][name] = HOSTILE
        body["shipping"][name] = HOSTILE
    body["customer_note"] = HOSTILE
    body["line_items"][0] |= {"name": HOSTILE, "sku": sku}
    return body


def lived_in(make_world: MakeWorld) -> World:
    """Orders that arrived, that wait, and that were rejected, with texts of somebody clever."""
    world = make_world(
        orders=[
            plain_order(1),
            kit_order(2),
            hostile_order(3),
            hostile_order(4, sku=HOSTILE[:40]),
            hostile_order(5, sku="NOT-THERE"),
        ]
    )
    world.run()
    return world


def addresses(office: Office) -> list[str]:
    """Every page that takes no argument, and one of each kind that does."""
    plain = [
        rule.rule
        for rule in office.app.url_map.iter_rules()
        if "GET" in (rule.methods or ())
        and not rule.arguments
        and rule.endpoint.startswith("panel.")
        and not rule.rule.endswith((".csv", ".json"))
        and rule.rule not in PARTS
    ]
    error = office.world.errors()[5]["id"]
    return sorted(
        {
            *plain,
            "/orders/BGM-3",
            "/orders/BGM-3/explain",
            "/orders/BGM-5",
            "/orders?q=BGM",
            f"/desk/{error}",
            f"/desk/{error}/repair",
            "/systems/sites/bgm",
            "/systems/sites/bgm/change",
            "/systems/erps/bc",
            "/systems/erps/bc/change",
            "/systems/add-site?platform=woocommerce",
            "/systems/add-erp?platform=business_central",
            "/users/account/admin1",
            "/runs/1",
            "/nowhere",
        }
    )


def sign_in(seen: Window, office: Office, role: Role = Role.ADMIN) -> None:
    office.signed_in(role, name=f"{role.value}1")
    seen.open("/login")
    seen.page.get_by_label("Name").fill(f"{role.value}1")
    seen.page.get_by_label("Password").fill(PASSWORD)
    seen.page.get_by_role("button", name="Sign in").click()
    seen.page.wait_for_url(lambda url: "/login" not in url)


def look(seen: Window, path: str) -> list[str]:
    """What axe finds serious on a page; the page must not have run anything of a shop's."""
    answer = seen.page.goto(seen.base + path)
    assert answer is not None
    assert answer.status in {200, 404}, (path, answer.status)
    seen.page.wait_for_load_state("networkidle")
    assert "owned" not in seen.page.title(), path
    found = Axe().run(seen.page).response["violations"]
    return [
        f"{path}: {each['id']} ({each['impact']}): {each['nodes'][0]['html'][:200]}"
        for each in found
        if each["impact"] in SERIOUS
    ]


@pytest.mark.parametrize(
    ("width", "dark"), [(1280, False), (1280, True), (375, False)], ids=["light", "dark", "phone"]
)
def test_every_page_is_accessible_quiet_and_runs_nothing_of_a_shop(
    make_world: MakeWorld, chromium: Browser, width: int, dark: bool, folder_for_pictures: Path | None
) -> None:
    office = Office(lived_in(make_world))
    with RunningServer(office.app, address="127.0.0.1", port=0, threads=4) as server:
        base = f"http://127.0.0.1:{server.port}"
        found: list[str] = []
        wide: list[str] = []
        with window(chromium, base, width=width, dark=dark) as seen:
            found += look(seen, "/login")
            sign_in(seen, office)
            for path in addresses(office):
                found += look(seen, path)
                body = seen.page.evaluate("document.documentElement.scrollWidth")
                if body > width:
                    wide.append(f"{path}: {body} px")
                if folder_for_pictures:
                    name = path.strip("/").replace("/", "-").replace("?", "-") or "overview"
                    picture = folder_for_pictures / f"{name}-{width}{'-dark' if dark else ''}.png"
                    seen.page.screenshot(path=picture, full_page=True)
            # The browser itself says so of a page that is not there.
            seen.complaints[:] = [each for each in seen.complaints if "/nowhere" not in each]
    assert found == []
    # Nobody scrolls sideways but within a table.
    assert wide == []


def test_a_part_that_renews_itself_says_so_when_it_cannot(make_world: MakeWorld, chromium: Browser) -> None:
    office = Office(lived_in(make_world))
    with (
        RunningServer(office.app, address="127.0.0.1", port=0, threads=4) as server,
        window(chromium, f"http://127.0.0.1:{server.port}") as seen,
    ):
        sign_in(seen, office)
        seen.open("/")
        assert seen.page.locator("#stale").is_hidden()
        seen.page.route("**/*", lambda route: route.abort())
        expect(seen.page.locator("#stale")).to_be_visible(timeout=30_000)
        # The browser's own words for it, and htmx's.
        ours = [each for each in seen.complaints if "ERR_FAILED" not in each and "htmx:" not in each]
        seen.complaints[:] = ours
