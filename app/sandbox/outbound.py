"""The one call that a sandbox makes itself: sending a webhook."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit


def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> int:
    """POST a body. The status of the answer, 0 for none within ``timeout`` seconds; redirects are not followed."""
    parts = urlsplit(url)
    try:
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=timeout, context=context
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, body, {"Accept": "*/*", "Connection": "close", **headers})
            answer = connection.getresponse()
            answer.read(65536)
            return answer.status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError):
        return 0
