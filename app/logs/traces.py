"""Where a failure came from, without what it said: an exception's text may quote what a customer wrote, or a secret."""

import traceback

_LONGEST = 20_000
_SPEAKING = (AttributeError, ImportError, NameError, TypeError)
"""Faults whose text tells of names and types in the program, never of values."""


def trace_text(error: BaseException) -> str:
    """The calls that led to the failure and to its causes, as Python prints them, but without local values and without texts."""
    told: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = "".join(traceback.format_tb(current.__traceback__))
        told.append(f"{frames}{named(current)}")
        hidden = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or hidden
    # The first cause comes first, as in Python's own.
    text = "\ncaused:\n".join(reversed(told))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}\n...\n{text[-_LONGEST // 2 :]}"


def unwrapped(error: BaseException) -> BaseException:
    """The failure itself: Celery's process pool hands it on inside of an exception that has its trace as a text."""
    inner = getattr(error, "exc", None) if type(error).__name__ == "ExceptionWithTraceback" else None
    return inner if isinstance(inner, BaseException) else error


def named(error: BaseException) -> str:
    """A failure by its class, with its text only where that cannot hold anybody's data."""
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    if isinstance(error, _SPEAKING):
        return f"{name}: {error}"
    if isinstance(error, OSError) and error.strerror and isinstance(error.errno, int):
        return f"{name}: {error.strerror}"
    return name
