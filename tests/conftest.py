"""What every test may ask for. The parts stand in tests/fixtures, one module each."""

pytest_plugins = (
    "tests.fixtures.broker",
    "tests.fixtures.guarded_broker",
    "tests.fixtures.postgres",
    "tests.fixtures.sqlite",
)
