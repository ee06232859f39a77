"""The one HTTP client. `requests` is imported here and nowhere else."""

from app.transport.addresses import check_address
from app.transport.answers import Answer, elements, json_as_read, parse_json
from app.transport.client import HttpClient, NoAnswer, json_text
from app.transport.limits import LocalLimiters, named_wait, report_of

__all__ = [
    "Answer",
    "HttpClient",
    "LocalLimiters",
    "NoAnswer",
    "check_address",
    "elements",
    "json_as_read",
    "json_text",
    "named_wait",
    "parse_json",
    "report_of",
]
