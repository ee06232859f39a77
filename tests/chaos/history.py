"""What was done to the system under test, and when: one JSON object a line, kept where the run fails."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any


class History:
    """The file of one run, with counts by kind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self._began = time.monotonic()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8", buffering=1)

    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self._began

    def note(self, event: str, **fields: Any) -> None:
        """Keep one line."""
        self.counts[event] += 1
        line = {"at": time.strftime("%H:%M:%S"), "second": round(self.seconds(), 2), "event": event, **fields}
        self._file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")

    def close(self) -> None:
        """Write no more."""
        self._file.close()
