"""Worlds, as the pipeline's tests have them."""

from tests.pipeline.conftest import database_template, make_world

__all__ = ["database_template", "make_world"]
