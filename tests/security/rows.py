"""The rows of docs/security.md: what is asked for, and the tests that show it, or why there is nothing to show yet."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `tests` are pytest's ids or their beginnings; without any, `not_yet` says why."""

    number: str
    name: str
    tests: tuple[str, ...] = ()
    not_yet: str = ""


ROWS = (
    Row("1", "SQL injection", ("tests/security/test_filters.py", "tests/security/test_sources.py")),
    Row("2", "formulas in tables", ("tests/cli/test_exporting.py", "tests/parts/test_items.py")),
    Row(
        "3",
        "HTML escaping",
        ("tests/web/test_every_page.py", "tests/web/test_orders_pages.py", "tests/web/test_desk_pages.py"),
    ),
    Row(
        "4",
        "SSRF",
        (
            "tests/transport/test_addresses.py",
            "tests/parts/test_configure.py",
            "tests/parts/test_reconfigure.py",
            "tests/pipeline/test_webhooks.py::test_an_address_that_webhooks_cannot_go_to_is_refused",
            "tests/pipeline/test_webhooks.py::test_plain_http_is_for_sites_that_may_be_private",
        ),
    ),
    Row(
        "5",
        "no redirects, no other hosts",
        (
            "tests/transport/test_client.py::test_a_redirect_is_not_followed_and_its_sentence_has_the_new_address_without_its_query",
            "tests/transport/test_client.py::test_a_next_link_to_another_host_port_or_scheme_is_refused_and_nothing_is_sent",
        ),
    ),
    Row(
        "6",
        "XML",
        not_yet="nothing reads XML, and no module may import a parser (row 7's test of the sources)",
    ),
    Row("7", "no pickle", ("tests/security/test_broker_messages.py", "tests/security/test_sources.py")),
    Row(
        "8",
        "atomic steps",
        ("tests/sync/test_promises.py", "tests/db/test_store.py"),
    ),
    Row("9", "order of states", ("tests/db/test_store.py", "tests/pipeline/test_recorded_cases.py")),
    Row("10", "cookies", ("tests/web/test_every_page.py", "tests/web/test_signing_in.py")),
    Row("11", "CSRF", ("tests/web/test_every_page.py", "tests/web/test_signing_in.py")),
    Row("12", "labels", not_yet="no label is fetched or shown"),
    Row(
        "13",
        "sizes, times and hostile figures",
        (
            "tests/security/test_sizes.py",
            "tests/security/test_hostile_figures.py",
            "tests/transport/test_client.py",
            "tests/transport/test_answers.py",
            "tests/pipeline/test_webhooks.py::test_a_body_",
        ),
    ),
    Row("14", "guessing of logins", ("tests/web/test_signing_in.py",)),
    Row("15", "storage of passwords", ("tests/web/test_signing_in.py", "tests/web/test_users.py")),
    Row("16", "sessions", ("tests/web/test_signing_in.py",)),
    Row("17", "roles", ("tests/web/test_every_page.py", "tests/web/test_api.py")),
    Row(
        "18",
        "secrets at rest, their rotation, and rights",
        (
            "tests/security/test_secrets_at_rest.py",
            "tests/security/test_database_rights.py",
            "tests/parts/test_secrets.py",
            "tests/parts/test_rotation.py",
            "tests/pipeline/test_rotating.py",
            "tests/cli/test_private_files.py",
            "tests/deploy/test_deployment_files.py",
            "tests/road/test_privacy.py",
        ),
    ),
    Row(
        "19",
        "logs and terminals",
        (
            "tests/road/test_privacy.py",
            "tests/logs/test_lines.py",
            "tests/pipeline/test_showing.py",
            "tests/pipeline/test_webhooks.py::test_nothing_of_a_body_is_logged",
        ),
    ),
    Row(
        "20",
        "TLS, monitoring, dependencies",
        (
            "tests/security/test_tls.py",
            "tests/security/test_dependencies.py",
            "tests/up/test_flower.py",
            "tests/deploy/test_deployment_files.py",
        ),
    ),
    Row(
        "21",
        "webhooks: signature and replay",
        (
            "tests/pipeline/test_webhooks.py::test_a_repeated_delivery_is_one_row_and_one_reading",
            "tests/pipeline/test_webhooks.py::test_what_is_not_believed_is_refused_in_the_same_way_and_leaves_nothing",
            "tests/pipeline/test_webhooks.py::test_every_answer_is_guarded_and_does_not_say_what_the_server_is_made_of",
            "tests/pipeline/test_webhooks.py::test_while_a_secret_is_replaced_the_one_before_is_still_believed",
            "tests/connectors/test_woocommerce_hooks.py",
            "tests/connectors/test_bigcommerce_hooks.py",
        ),
    ),
    Row("22", "erasure", ("tests/pipeline/test_privacy.py",)),
)
