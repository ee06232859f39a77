"""Sites and systems: what is connected and how it stands; connecting, changing, testing and removing it."""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, abort, current_app, request, url_for

from app.bootstrap import connectors
from app.errors import UsageError
from app.ports.accounts import Role
from app.ports.store import ErpRow, Site
from app.ports.systems import Removal
from app.sync import configure, hook_setup, probing, reconfigure, retire
from app.sync import systems as systems_rules
from app.sync.options import cron
from app.sync.panel import systems
from app.sync.panel.systems import Changing, Described
from app.sync.schedule_words import in_words, next_times
from app.web.panel.access import Answer, changes, needs
from app.web.panel.forms import shown_again
from app.web.panel.shared import done, page
from app.web.people import People

_HERE = "panel.systems"
_MEASURED_ORDERS = 25
_LONGEST_CRON = 200
_KINDS = {"site": "sales_channel", "erp": "erp"}
_PLANS = {"site": "schedule", "erp": "items_schedule"}
_NAMES = {"site": "site", "erp": "ERP"}


def add(pages: Blueprint, people: People) -> None:
    """Add the pages."""
    panel = people.panel
    parts = panel.parts

    @pages.get("/systems", endpoint="systems")
    def listed() -> str:
        return page("systems.html", found=systems.listing(panel))

    # Looking.

    def site_page(name: str, *, refused: str = "") -> str:
        found = systems.site_page(panel, name)
        if found is None:
            abort(404)
        wanted = request.args.get("certificate", "")
        shown = next((each for each in found.certificates if str(each.id) == wanted), None)
        return page(
            "site.html",
            here=_HERE,
            found=found,
            site=found.row.site,
            shown=shown or next(iter(found.certificates), None),
            base=request.form.get("base_url", found.hook_base or people.settings.web_url or ""),
            take_away=hook_setup.removal_question(name),
            can_run_now="panel.run_now" in current_app.view_functions,
            refused=refused,
        )

    @pages.get("/systems/sites/<name>")
    def site(name: str) -> str:
        return site_page(name)

    def erp_page(name: str, *, refused: str = "") -> str:
        found = systems.erp_page(panel, name)
        if found is None:
            abort(404)
        return page("erp.html", here=_HERE, found=found, erp=found.row.erp, refused=refused)

    @pages.get("/systems/erps/<name>")
    def erp(name: str) -> str:
        return erp_page(name)

    @pages.get("/systems/schedule")
    def schedule() -> str:
        """The part of a form that says what a schedule means."""
        typed = next(iter(request.args.values()), "")
        return page("systems_schedule.html", typed=typed, **_schedule(typed))

    def _schedule(typed: str) -> dict[str, Any]:
        if not typed.strip():
            return {}
        try:
            if len(typed) > _LONGEST_CRON:
                raise ValueError("is too long")  # noqa: TRY301 - told like any other
            read = cron(typed)
        except ValueError as error:
            return {"wrong": str(error)}
        return {"words": in_words(read), "times": next_times(read, after=panel.store.now())}

    # Adding.

    @pages.get("/systems/add-<kind>")
    def add_system(kind: str) -> str:
        if kind not in _KINDS:
            abort(404)
        needs(Role.ADMIN)
        platform = request.args.get("platform", "")
        found = connectors().get(platform)
        if found is None or found.port != _KINDS[kind]:
            choices = [each for each in connectors().values() if each.port == _KINDS[kind]]
            return page("systems_add.html", here=_HERE, kind=_NAMES[kind], choices=choices, unknown=platform)
        return form(kind)

    def form(kind: str, *, name: str = "", refused: str = "") -> str:
        """The form of a new system, or of the one that has this name; what was typed stands in it again."""
        stored = changing(kind, name) if name else None
        described = new_system(kind) if stored is None else stored.described
        shown = {
            setting.name: request.form.get(f"setting.{setting.name}", setting.text)
            for setting in described.settings
        }
        plan = _PLANS[kind]
        default = next(each.default for each in described.settings if each.name == plan)
        return page(
            "systems_form.html",
            here=_HERE,
            kind=kind,
            noun=_NAMES[kind],
            name=name,
            described=described,
            row=None if stored is None else stored.row,
            erps=[each.name for each in panel.store.erps()],
            erp="" if stored is None else stored.erp,
            typed=request.form,
            dropped=request.form.getlist("drop"),
            again=request.method == "POST",
            shown=shown,
            plan=plan,
            planned=_schedule(shown[plan] or default),
            refused=refused,
        )

    def must_be_there(kind: str, name: str) -> None:
        if all(each.name != name for each in (panel.store.sites() if kind == "site" else panel.store.erps())):
            abort(404)

    def changing(kind: str, name: str) -> Changing:
        found = systems.changing(panel, kind=kind, name=name)
        if found is None:
            abort(404)
        return found

    def _in_words(kind: str, name: str) -> str:
        return in_words(changing(kind, name).row.settings[_PLANS[kind]])

    def new_system(kind: str) -> Described:
        found = connectors().get(request.values.get("platform", ""))
        if found is None or found.port != _KINDS[kind]:
            abort(404)
        return systems.described(found)

    def asked() -> configure.Asked:
        typed = request.form
        return configure.Asked(
            name=typed.get("name", "").strip(),
            platform=typed.get("platform", ""),
            url=typed.get("url", "").strip(),
            allow_private="allow_private" in typed,
            credentials={name: text for name, text in _fields("credential.").items() if text},
            settings={
                **{name: text for name, text in _fields("setting.").items() if text},
                **systems.other_settings(typed.get("others", "")),
            },
        )

    @pages.post("/systems/add-site")
    @shown_again(lambda **more: form("site", **more))
    @changes(people, Role.ADMIN, "site.add")
    def added_site() -> Answer:
        new, erp = asked(), request.form.get("erp", "") or None
        configure.add_site(parts, new, prefix=request.form.get("prefix", "").strip(), erp=erp)
        return done(
            f"The site {new.name} is added. It is read {_in_words('site', new.name)}; test the connection before that.",
            url_for("panel.site", name=new.name),
        )

    @pages.post("/systems/add-erp")
    @shown_again(lambda **more: form("erp", **more))
    @changes(people, Role.ADMIN, "erp.add")
    def added_erp() -> Answer:
        new = asked()
        configure.add_erp(parts, new, company=request.form.get("company", "").strip())
        return done(
            f"The ERP {new.name} is added. Its items are read within a minute where workers run, then {_in_words('erp', new.name)}.",
            url_for("panel.erp", name=new.name),
        )

    # Changing.

    @pages.get("/systems/<any('sites', 'erps'):kind>/<name>/change")
    def change_system(kind: str, name: str) -> str:
        needs(Role.ADMIN)
        return form(kind.removesuffix("s"), name=name)

    def wanted(row: Site | ErpRow) -> reconfigure.Wanted:
        typed = request.form
        url = typed.get("url", "").strip()
        allow_private = "allow_private" in typed
        dropped = dict.fromkeys(typed.getlist("drop"), "")
        return reconfigure.Wanted(
            url=url if url != row.url else None,
            allow_private=allow_private if allow_private != row.allow_private else None,
            moved="moved" in typed,
            credentials={
                **dropped,
                **{name: text for name, text in _fields("credential.").items() if text},
            },
            settings={
                # What somebody else has changed meanwhile, and this person has not, stays as it is.
                **{
                    name: text
                    for name, text in _fields("setting.").items()
                    if _one_line(text) != _one_line(typed.get(f"old.{name}", ""))
                },
                **systems.other_settings(typed.get("others", "")),
            },
        )

    @pages.post("/systems/sites/<name>/change")
    @shown_again(lambda **more: form("site", **more))
    @changes(people, Role.ADMIN, "site.set")
    def changed_site(name: str) -> Answer:
        stored = changing("site", name)
        erp = request.form.get("erp", "")
        found = wanted(stored.row)
        other = erp if erp and erp != stored.erp else None
        where = url_for("panel.site", name=name)
        if not found.anything and other is None:
            return done(f"Nothing of the site {name} is other than before.", where)
        changed = reconfigure.set_site(parts, name, found, erp=other)
        return done(reconfigure.sentence(changed, of=f"site {name}"), where)

    @pages.post("/systems/erps/<name>/change")
    @shown_again(lambda **more: form("erp", **more))
    @changes(people, Role.ADMIN, "erp.set")
    def changed_erp(name: str) -> Answer:
        row = systems_rules.erp_named(parts, changing("erp", name).row.name)
        company = request.form.get("company", "").strip()
        found = wanted(row)
        other = company if company != row.company else None
        where = url_for("panel.erp", name=name)
        if not found.anything and other is None:
            return done(f"Nothing of the ERP {name} is other than before.", where)
        changed = reconfigure.set_erp(parts, name, found, company=other)
        return done(reconfigure.sentence(changed, of=f"ERP {name}"), where)

    # Testing, pausing, comparing.

    @pages.post("/systems/<any('sites', 'erps'):kind>/<name>/test")
    @changes(people, Role.OPERATOR, "system.test")
    def tested(kind: str, name: str) -> Answer:
        kind = kind.removesuffix("s")
        must_be_there(kind, name)
        findings = systems.examined(panel, kind=kind, name=name, clock=lambda: datetime.now(UTC))
        return page(
            "systems_findings.html", here=_HERE, kind=kind, noun=_NAMES[kind], name=name, findings=findings
        )

    @pages.post("/systems/sites/<name>/measure")
    @shown_again(site_page)
    @changes(people, Role.OPERATOR, "site.measure")
    def measured(name: str) -> Answer:
        must_be_there("site", name)
        found = probing.probe_site(parts, name, orders=_MEASURED_ORDERS, change=False)
        return page("systems_measured.html", here=_HERE, name=name, found=found, orders=_MEASURED_ORDERS)

    @pages.post("/systems/sites/<name>/enable")
    @changes(people, Role.ADMIN, "site.enable")
    def enabled(name: str) -> Answer:
        must_be_there("site", name)
        next_run = retire.enable_site(parts, name)
        return done(
            f"The site {name} is enabled. Next run: {next_run:%Y-%m-%d %H:%M} UTC.",
            url_for("panel.site", name=name),
        )

    @pages.post("/systems/sites/<name>/disable")
    @changes(people, Role.ADMIN, "site.disable")
    def disabled(name: str) -> Answer:
        must_be_there("site", name)
        unfinished = retire.disable_site(parts, name)
        return done(retire.disabled_sentence(name, unfinished), url_for("panel.site", name=name))

    @pages.post("/systems/<any('sites', 'erps'):kind>/<name>/unpause")
    @changes(people, Role.ADMIN, "system.unpause")
    def unpaused(kind: str, name: str) -> Answer:
        kind = kind.removesuffix("s")
        must_be_there(kind, name)
        (retire.unpause_site if kind == "site" else retire.unpause_erp)(parts, name)
        return done(
            f"The pause of the {_NAMES[kind]} {name} is lifted; it is tried again at once.",
            url_for(f"panel.{kind}", name=name),
        )

    @pages.post("/systems/sites/<name>/compare")
    @changes(people, Role.OPERATOR, "site.compare")
    def compared(name: str) -> Answer:
        must_be_there("site", name)
        run_id, sent = systems.start_comparison(panel, name, send=people.doors.send)
        sentence = (
            f"The comparison of {name} is started (run {run_id}); its certificate stands here when it is over."
            if sent
            else f"The broker did not take the message; {name} is compared as soon as beat and a worker run."
        )
        return done(sentence, url_for("panel.site", name=name))

    # Webhooks.

    @pages.post("/systems/sites/<name>/webhooks")
    @shown_again(site_page)
    @changes(people, Role.ADMIN, "site.hooks.install")
    def installed(name: str) -> Answer:
        must_be_there("site", name)
        rotate = "rotate" in request.form
        result = hook_setup.install(parts, name, base_url=request.form.get("base_url", ""), rotate=rotate)
        return done(
            hook_setup.installed_sentence(name, result, rotate=rotate), url_for("panel.site", name=name)
        )

    @pages.post("/systems/sites/<name>/webhooks/check")
    @shown_again(site_page)
    @changes(people, Role.OPERATOR, "site.hooks.check")
    def checked(name: str) -> Answer:
        must_be_there("site", name)
        result = hook_setup.check(parts, name)
        return done(hook_setup.checked_sentence(name, result), url_for("panel.site", name=name))

    @pages.post("/systems/sites/<name>/webhooks/remove")
    @shown_again(site_page)
    @changes(people, Role.ADMIN, "site.hooks.remove")
    def taken_away(name: str) -> Answer:
        must_be_there("site", name)
        removed = hook_setup.remove(parts, name)
        return done(hook_setup.removed_sentence(name, removed), url_for("panel.site", name=name))

    # Removing.

    def removal(kind: str, name: str, *, refused: str = "") -> str:
        kind = kind.removesuffix("s")
        must_be_there(kind, name)
        question = ""
        try:
            question = systems.removal_question(panel, kind=kind, name=name)
        except UsageError as error:
            refused = error.reason
        return page(
            "systems_remove.html",
            here=_HERE,
            kind=kind,
            noun=_NAMES[kind],
            name=name,
            question=question,
            typed=request.form.get("typed", ""),
            refused=refused,
        )

    @pages.get("/systems/<any('sites', 'erps'):kind>/<name>/remove")
    def remove_system(kind: str, name: str) -> str:
        needs(Role.ADMIN)
        return removal(kind, name)

    @pages.post("/systems/<any('sites', 'erps'):kind>/<name>/remove")
    @shown_again(removal)
    @changes(people, Role.ADMIN, "system.remove")
    def removed(kind: str, name: str) -> Answer:
        kind = kind.removesuffix("s")
        must_be_there(kind, name)
        systems.check_typed_name(name, request.form.get("typed", ""))
        remove = retire.remove_site if kind == "site" else retire.remove_erp
        outcome = remove(parts, name, sure=lambda _question: True)
        same = "prefix" if kind == "site" else "company"
        kept = (
            f" What it did can still be looked at; added again with the same name, platform, address and {same} it comes back."
            if outcome is Removal.KEPT
            else ""
        )
        return done(f"The {_NAMES[kind]} {name} is removed.{kept}", url_for("panel.systems"))


def _one_line(text: str) -> str:
    """The text as an input of one line sends it: without line ends."""
    return text.replace("\r", "").replace("\n", "")


def _fields(begin: str) -> dict[str, str]:
    """The fields of the form whose names begin so, by the rest of their names."""
    return {name.removeprefix(begin): text for name, text in request.form.items() if name.startswith(begin)}
