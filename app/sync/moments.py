"""Times as people type them."""

from datetime import UTC, datetime

from app.errors import UsageError


def moment_from(text: str, option: str) -> datetime | None:
    """A date or a time, UTC where no zone is named, None where nothing was typed. Raises `UsageError` that names the option."""
    if not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{option} {text!r} must be a date or a time such as 2026-11-01 or 2026-11-01T12:00 (UTC)."
        ) from None
