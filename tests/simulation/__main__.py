"""The simulation, run by command: `make simulate SEEDS=20000`, or one seed again with every step of it shown.

    python -m tests.simulation --seeds 20000
    python -m tests.simulation --seed 123 --trace --store memory [--mutant no-fence | --variant long-pauses]

The memory store runs all seeds, the real one over SQLite a fortieth of them (500 at most); then every mutant is to be caught.
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence

import structlog

from tests.simulation.mutants import MUTANTS
from tests.simulation.runs import Catch, Job, Sums, catch_mutants, open_pool, run_seeds
from tests.simulation.simulation import simulate
from tests.simulation.stores import OPEN
from tests.simulation.variants import PROMISED, VARIANTS

_SQLITE_SHARE, _SQLITE_MOST = 40, 500
_VARIANT_SHARE, _VARIANT_MOST = 20, 1000
_SHOWN = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every promise was kept and every mutant caught, else 1."""
    options = _options(arguments)
    if options.seed is not None:
        return _replay(options)
    with open_pool(options.jobs) as pool:
        catches = catch_mutants(pool=pool, tell=_say) if options.mutants else []
        sums = [run_seeds(job, pool=pool, tell=_say) for job in _jobs(options)]
    is_good = all(each.is_good for each in sums) and all(each.seed is not None for each in catches)
    if options.json:
        found = {
            "good": is_good,
            "runs": [each.as_json() for each in sums],
            "mutants": {each.name: each.seed for each in catches},
        }
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        _show(sums, catches)
    return 0 if is_good else 1


def _jobs(options: argparse.Namespace) -> list[Job]:
    seeds, first = options.seeds, options.first
    if options.variant:
        return [Job(store=options.store or "memory", first=first, seeds=seeds, variant=options.variant)]
    if options.store:
        return [Job(store=options.store, first=first, seeds=seeds)]
    few = max(1, min(_SQLITE_MOST, seeds // _SQLITE_SHARE))
    jobs = [Job(store="memory", first=first, seeds=seeds), Job(store="sqlite", first=first, seeds=few)]
    some = max(1, min(_VARIANT_MOST, seeds // _VARIANT_SHARE))
    return [
        *jobs,
        *(
            Job(store="memory", first=first, seeds=some, variant=name)
            for name in VARIANTS
            if name != PROMISED
        ),
    ]


def _replay(options: argparse.Namespace) -> int:
    mutant = next((each for each in MUTANTS if each.name == options.mutant), None)
    variant = VARIANTS[options.variant or PROMISED].variant if mutant is None else mutant.variant
    opened = OPEN[options.store or "memory"] if mutant is None else mutant.open_database
    trace = _line if options.trace else None
    if mutant is None:
        outcome = simulate(options.seed, open_database=opened, variant=variant, trace=trace)
    else:
        with mutant.patch():
            outcome = simulate(options.seed, open_database=opened, variant=variant, trace=trace)
    for sentence in outcome.wrong or ["Every promise was kept."]:
        _line(sentence)
    return 1 if outcome.wrong else 0


def _show(sums: Sequence[Sums], catches: Sequence[Catch]) -> None:
    for each in catches:
        end = "NOT CAUGHT" if each.seed is None else f"caught at seed {each.seed}"
        _line(f"mutant {each.name:<18} {end}: {each.found}")
    for one in sums:
        for seed, sentences in one.bad[:_SHOWN]:
            _line(f"{one.job} seed {seed}: {sentences[0]}")
        _line(one.line())


def _line(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=500, help="how many runs (500)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--store", choices=tuple(OPEN), help="this store alone, and no variants")
    parser.add_argument("--variant", choices=tuple(VARIANTS), help="this variant alone")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once (2)")
    parser.add_argument("--no-mutants", dest="mutants", action="store_false", help="leave the mutants out")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--seed", type=int, help="this one run")
    parser.add_argument(
        "--mutant", choices=tuple(each.name for each in MUTANTS), help="with --seed: as this mutant"
    )
    parser.add_argument("--trace", action="store_true", help="with --seed: every step of it")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(main())
