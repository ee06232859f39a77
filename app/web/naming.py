"""How a request is named in the log."""

from flask import request


def asked_for() -> str:
    """Which page was asked for, without what stands in its address: that may be the key of a link, or a customer's order."""
    return "" if request.url_rule is None else request.url_rule.rule
