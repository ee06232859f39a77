"""The Celery application: its settings, routes, beat schedule and signals."""
