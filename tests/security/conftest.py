"""Worlds, as the pipeline's tests have them."""

from tests.pipeline.conftest import make_world

__all__ = ["make_world"]
