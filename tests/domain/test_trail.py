"""The seals of the audit trail: whatever is changed of an event, or of what came before, its seal is another."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.trail import as_text, digest, head_over, seal

KEY = b"k" * 32
AT = datetime(2026, 11, 21, 12, 0, 0, 1, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "head": "", "thread_id": 7, "number": 3, "at": AT, "stage": "export", "event": "exported", "by": "worker",
    "detail": {"document": "S-1"}, "digest": "d",
}  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {"head": "0"}, {"thread_id": 8}, {"number": 4}, {"at": AT + timedelta(microseconds=1)}, {"stage": "write"},
        {"event": "closed"}, {"by": "cli:eve"}, {"detail": {"document": "S-2"}}, {"detail": {}}, {"digest": ""},
    ],
)  # fmt: skip
def test_every_part_of_an_event_is_under_its_seal(changed: dict[str, Any]) -> None:
    assert seal(KEY, **EVENT) != seal(KEY, **{**EVENT, **changed})
    assert seal(KEY, **EVENT) != seal(b"another", **EVENT)


@given(
    st.dictionaries(
        st.text(max_size=4), st.one_of(st.text(max_size=4), st.integers(), st.booleans(), st.none())
    )
)
def test_the_order_of_facts_is_none_of_theirs(detail: dict[str, Any]) -> None:
    turned = dict(reversed(detail.items()))
    assert seal(KEY, **{**EVENT, "detail": detail}) == seal(KEY, **{**EVENT, "detail": turned})


def test_the_last_seal_is_no_events_own() -> None:
    mac = seal(KEY, **EVENT)
    head = head_over(KEY, thread_id=7, number=3, mac=mac)
    assert head not in {
        mac,
        head_over(KEY, thread_id=7, number=2, mac=mac),
        head_over(b"x", thread_id=7, number=3, mac=mac),
    }


def test_a_payload_is_text_with_its_digits_and_times() -> None:
    assert as_text({}) == ""
    assert digest("") == ""
    text = as_text({"b": Decimal("1.50"), "a": AT, "c": "Zoë"})
    assert text == '{"a": "2026-11-21T12:00:00.000001+00:00", "b": "1.50", "c": "Zoë"}'
    assert len(digest(text)) == 64
    with pytest.raises(TypeError):
        as_text({"a": object()})
