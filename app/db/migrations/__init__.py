"""Schema migrations, run by `app.db.migrate`."""
