"""What a check of the installation comes to: one sentence, how bad it is, and what to type."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """`WARNING`: it works, but a person should know. `WRONG`: orders do not pass, or are not safe."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """`found` is one sentence. `do` is what to type, where there is something to be put right.

    `...` in it is to be filled in, and what follows `#` is a remark.
    """

    check: str
    level: Level
    found: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Findings under one check's name: what is wrong, or one sentence that says what is right."""

    check: str

    def ok(self, found: str, *, do: str = "") -> Finding:
        """All is well."""
        return Finding(self.check, Level.OK, found, do)

    def warning(self, found: str, *, do: str) -> Finding:
        """It works, but a person should know."""
        return Finding(self.check, Level.WARNING, found, do)

    def wrong(self, found: str, *, do: str) -> Finding:
        """It does not work, or is not safe."""
        return Finding(self.check, Level.WRONG, found, do)


def worst(findings: Iterable[Finding]) -> Level:
    """The worst of them; `OK` where there are none."""
    levels = tuple(Level)
    return max((finding.level for finding in findings), key=levels.index, default=Level.OK)


def set_command(kind: str, name: str, mend: tuple[str, ...]) -> str:
    """The `site set` or `erp set` that `mend` (see `Misconfigured`) stands for. Secrets go by the environment, never by argv."""
    variables: list[str] = []
    options: list[str] = []
    for each in mend:
        option, _, key = each.partition(" ")
        if option == "credential":
            variable = f"{name}_{key}".upper().replace("-", "_")
            variables.append(f"{variable}=...")
            options.append(f"--credential {key}=env:{variable}")
        else:
            options.append(f"--{option} {key}=..." if key else f"--{option} ...")
    return " ".join([*variables, "ordersync", kind, "set", name, *options])
