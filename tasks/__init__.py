"""Celery tasks: a line or three each. They carry ids only; the database says what is to be done."""
