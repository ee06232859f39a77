"""A stateful stand-in that speaks Business Central's API v2.0 over HTTP.

It is written from the contract `business-central.md` alone; docstrings name the section a behaviour comes from.
"""

from app.sandbox.erp.fill import demo_fill
from app.sandbox.erp.state import CLIENT_ID, CLIENT_SECRET, COMPANY_ID, SCOPE, TENANT, Erp
from app.sandbox.erp.web import create_app

__all__ = [
    "CLIENT_ID",
    "CLIENT_SECRET",
    "COMPANY_ID",
    "SCOPE",
    "TENANT",
    "Erp",
    "create_app",
    "demo_fill",
]
