"""Limiters for tests of something else."""

from itertools import count

from app.transport import LocalLimiters


def an_hour_between_calls() -> LocalLimiters:
    """On a clock by which an hour passes with each look at it: what a peer asked for is over by the next call."""
    return LocalLimiters(clock=count(3600.0, 3600.0).__next__)
