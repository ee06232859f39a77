"""What every test may ask for. The parts stand in tests/fixtures, one module each."""

# In this order: pytest must see a module before another one imports it.
pytest_plugins = (
    "tests.fixtures.broker",
    "tests.fixtures.guarded_broker",
    "tests.fixtures.postgres",
    "tests.fixtures.databases",
    "tests.fixtures.sqlite",
)
