"""All the SQL there is: tables, the store, migrations."""
