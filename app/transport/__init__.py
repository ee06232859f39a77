"""The one HTTP client. `requests` is imported here and nowhere else."""

from app.transport.addresses import check_address
from app.transport.answers import Answer, elements, parse_json
from app.transport.client import HttpClient, NoAnswer

__all__ = ["Answer", "HttpClient", "NoAnswer", "check_address", "elements", "parse_json"]
