"""`python -m app.cli`: the command where nothing is known of the PATH."""

from app.cli import run

run()
