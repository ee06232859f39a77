"""Put the figures of the last `make bench` into docs/performance.md and docs/performance.svg.

Usage: .venv/bin/python docs/draw_performance.py [var/bench/latest.json].
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

HERE = Path(__file__).parent
LATEST = HERE.parent / "var" / "bench" / "latest.json"
WIDTH, LEFT, BAR, ROW = 760, 150, 18, 24
OURS, NAIVE, SANDBOX, INK = "#2563a8", "#b9bec6", "#d9a441", "#22262b"
STEPS = ("#1d4f86", "#2563a8", "#3f7fc4", "#6a9fd6", "#97bde4", "#3b8f7f", "#64b3a4", "#99d1c6")

Report = Mapping[str, Any]


def main() -> None:
    """Replace the figures between the marks, and the picture."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else LATEST
    report: Report = json.loads(source.read_text(encoding="utf-8"))
    page = HERE / "performance.md"
    marked = re.compile(r"(<!-- bench:begin [^\n]*-->\n).*?(<!-- bench:end -->)", re.DOTALL)
    text = marked.sub(
        lambda found: f"{found[1]}{figures(report)}\n{found[2]}", page.read_text(encoding="utf-8")
    )
    page.write_text(text, encoding="utf-8")
    (HERE / "performance.svg").write_text(picture(report), encoding="utf-8")


def runs(report: Report) -> dict[str, Mapping[str, Any]]:
    """What went through Celery, by latency and customers."""
    known = {"0 ms": report["zero"]["known"]} | {
        f"{latency} ms": row for latency, row in report["latency"].items()
    }
    return {f"{name}, customers known": row for name, row in known.items()} | {
        "0 ms, every customer new": report["zero"]["new"]
    }


def figures(report: Report) -> str:
    """The tables, in Markdown."""
    machine = report["machine"]
    first = (
        f"{report['at'][:10]}, {report['orders']:,} orders in each run, {machine['cores']} cores, Python {machine['python']},"
        f" {machine['database']}."
    )
    memory = ", ".join(f"{name} {sizes['rss_mb']:.0f}" for name, sizes in report["memory"].items())
    shared = report["memory"]["sum"].get("pss_mb")
    without = f"; shared pages counted once: {shared:.0f}" if shared else ""
    bounds = ", ".join(f"{name} {row['orders_per_s']:,.0f}" for name, row in report["bounds"].items())
    blocks = (
        [first],
        _table(("aim", "wanted", "measured", "met"), (_aim(aim) for aim in report["aims"])),
        _end_to_end(report),
        _beside(report),
        _of_stages(report["stages"]),
        _of_calls(report),
        _of_quota(report["quota"]),
        [f"Memory at its peak, MB: {memory}{without}."],
        [f"What is unavoidable, orders/s each: {bounds}."],
    )
    return "\n\n".join("\n".join(block) for block in blocks)


def _of_quota(quota: Report) -> list[str]:
    return _table(
        (
            "BigCommerce, per 100 orders whose",
            "updates",
            "other requests",
            "refused (429)",
            "most in a window",
            "quota",
            "seconds",
        ),
        (
            (
                name,
                *(
                    f"{row[key]:g}"
                    for key in ("updates_per_100", "others_per_100", "refused", "most_in_window")
                ),
                f"{row['quota']} in {row['window_seconds']:g} s",
                f"{row['seconds']:.1f} for {row['orders']} orders",
            )
            for name, row in quota.items()
        ),
    )


def _end_to_end(report: Report) -> list[str]:
    def cells(name: str, row: Mapping[str, Any]) -> Sequence[str]:
        best = max(row["runs"], key=lambda run: float(run["orders_per_s"]))
        spent = best["cpu_seconds"]
        ours = sum(spent[each] for each in ("worker", "beat")) / row["orders"] * 1000
        sandbox = sum(spent[each] for each in ("shop", "erp")) / row["orders"] * 1000
        return (
            name,
            f"{row['best']:.0f}",
            f"{row['median']:.0f}",
            f"{row['written_seconds_median']:.2f}",
            f"{ours:.2f}",
            f"{sandbox:.2f}",
            f"{best['others_cores']:.1f}",
        )

    head = (
        *("end to end through Celery", "orders/s, best", "median", "all in the database after, s"),
        *("our CPU, ms per order", "sandboxes' CPU", "cores that others used"),
    )
    return _table(head, (cells(name, row) for name, row in runs(report).items()))


def _beside(report: Report) -> list[str]:
    head = ("per request", "naive script, orders/s", "Order Sync, median", "ratio")
    rows = (
        (
            f"{latency} ms",
            f"{row['orders_per_s']:.1f}",
            f"{row.get('order_sync_orders_per_s', 0):.0f}",
            f"{row.get('ratio', 0):g}",
        )
        for latency, row in report["naive"].items()
    )
    return _table(head, rows)


def _of_stages(stages: Mapping[str, Mapping[str, float]]) -> list[str]:
    def cells(name: str, row: Mapping[str, float]) -> Sequence[str]:
        orders = row["orders_per_s"] * row["wall_seconds"] / 1000
        sandboxes = row["sandbox_cpu_shop_seconds"] + row["sandbox_cpu_erp_seconds"]
        spent = (row["wall_seconds"], row["cpu_seconds"], sandboxes)
        return (name, f"{row['orders_per_s']:,.0f}", *(f"{each / orders:.2f}" for each in spent))

    head = ("stage alone", "orders/s", "ms per order", "our CPU", "sandboxes' CPU")
    return _table(head, (cells(name, row) for name, row in stages.items()))


def _of_calls(report: Report) -> list[str]:
    calls = report["calls"]
    rows = [
        (
            f"{peer}: {purpose}",
            *(
                f"{calls[kind][peer].get(purpose, {}).get(which, 0):g}"
                for kind in ("known", "new")
                for which in ("calls", "operations")
            ),
        )
        for peer in ("shop", "erp")
        for purpose in dict.fromkeys([*calls["known"][peer], *calls["new"][peer]])
    ]
    apart = [text for kind in ("known", "new") for text in (f"{calls[kind]['apart_from_writing']:g}", "")]
    head = (
        "per 100 orders",
        "calls, customers known",
        "operations",
        "calls, every customer new",
        "operations",
    )
    return _table(head, [*rows, ("all but creations and inserts", *apart)])


def _aim(aim: Mapping[str, Any]) -> Sequence[str]:
    words = {True: "yes", False: "no", None: "not measured"}
    measured = "" if aim["measured"] is None else f"{aim['measured']:g}"
    return (aim["aim"], aim["wanted"], measured, words[aim["met"]])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def picture(report: Report) -> str:
    """Two panels: orders per second beside the naive script, and where the time of one order goes."""
    drawn: list[str] = []
    top = _speed(report, drawn, top=30)
    height = _time(report["stages"], drawn, top=top + 40) + 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


def _speed(report: Report, drawn: list[str], *, top: int) -> int:
    drawn.append(_text(10, top - 10, "Orders per second, median, customers known", weight="bold"))
    most = max(row["order_sync_orders_per_s"] for row in report["naive"].values())
    for latency, row in report["naive"].items():
        for name, rate, colour in (
            ("Order Sync", row["order_sync_orders_per_s"], OURS),
            ("naive script", row["orders_per_s"], NAIVE),
        ):
            long = (WIDTH - LEFT - 70) * rate / most
            drawn.append(_text(10, top + 13, f"{latency} ms, {name}"))
            drawn.append(_bar(LEFT, top, long, colour))
            drawn.append(_text(LEFT + long + 6, top + 13, f"{rate:.1f}"))
            top += ROW
        top += 6
    return top


def _time(stages: Mapping[str, Mapping[str, float]], drawn: list[str], *, top: int) -> int:
    drawn.append(
        _text(10, top - 10, "CPU of one order, ms: each stage (ours) and the sandboxes", weight="bold")
    )
    road = {name: row for name, row in stages.items() if "," not in name}
    spent = {
        name: row["cpu_seconds"] / (row["orders_per_s"] * row["wall_seconds"]) * 1000
        for name, row in road.items()
    }
    spent["sandboxes"] = sum(
        (row["sandbox_cpu_shop_seconds"] + row["sandbox_cpu_erp_seconds"])
        / (row["orders_per_s"] * row["wall_seconds"])
        * 1000
        for row in road.values()
    )
    longest = max(spent.values())
    for (name, milliseconds), colour in zip(spent.items(), (*STEPS, SANDBOX), strict=True):
        long = (WIDTH - LEFT - 70) * milliseconds / longest
        drawn.append(_text(10, top + 13, name))
        drawn.append(_bar(LEFT, top, long, colour))
        drawn.append(_text(LEFT + long + 6, top + 13, f"{milliseconds:.2f}"))
        top += ROW
    return top


def _bar(left: float, top: float, long: float, colour: str) -> str:
    return f'<rect x="{left:.0f}" y="{top:.0f}" width="{max(long, 1):.1f}" height="{BAR}" fill="{colour}"/>'


def _text(left: float, top: float, text: str, *, weight: str = "normal") -> str:
    return f'<text x="{left:.0f}" y="{top:.0f}" fill="{INK}" font-weight="{weight}">{escape(text)}</text>'


if __name__ == "__main__":
    main()
