"""`ordersync secrets` on a middleware at work: orders go on, and the trail is still proved."""

import os
import time

from app.bootstrap import open_program
from app.settings import load_settings
from tests.pipeline.commands import command, environment, good, printed_json
from tests.pipeline.world import MakeWorld, plain_order


def test_orders_go_on_and_the_trail_is_proved_before_between_and_after(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(1001)])
    file = load_settings(environment(world)).secret_key_file
    world.run()
    (old,) = printed_json(world, "secrets", "show")["keys"]

    said = command(world, "secrets", "rotate")
    assert said.exit_code == 0, said.output
    new, kept = printed_json(world, "secrets", "show")["keys"]
    assert kept == old
    assert f"The new key is {new}; {old} stays beside it in {file}." in said.output
    assert f"forget {old} with: ordersync secrets rotate --finish" in said.output
    world.place(plain_order(1002))
    world.run()
    assert printed_json(world, "audit", "verify")["whole"]

    early = command(world, "secrets", "rotate", "--finish")
    assert (early.exit_code, "Nothing was dropped" in early.output) == (1, True)
    past = time.time() - 1000
    os.utime(file, (past, past))
    done = printed_json(world, "secrets", "rotate", "--finish")
    assert (done["keys"], done["dropped"], done["new_key"]) == ([new], [old], "")
    world.place(plain_order(1003))
    world.run()
    assert world.ends() == {1001: "done", 1002: "done", 1003: "done"}
    assert printed_json(world, "audit", "verify")["whole"]
    assert f"Everything is stored with {new}, the one key there is." in good(
        world, "secrets", "rotate", "--finish"
    )
    page = good(world, "secrets", "show")
    assert page.count(new) == 1 + len(printed_json(world, "secrets", "show")["stored"])


def test_no_command_of_a_rotation_prints_a_key_or_what_it_opens_but_the_one_to_be_taken_over(
    make_world: MakeWorld,
) -> None:
    world = make_world(orders=[])
    file = load_settings(environment(world)).secret_key_file
    said = "".join(
        command(world, *words).output
        for words in (
            ("secrets", "show"),
            ("secrets", "rotate"),
            ("secrets", "show", "--json"),
            ("secrets", "rotate", "--json"),
        )
    )
    sought = [*file.read_text(encoding="ascii").strip().split(","), "cs_sandbox", "sandbox-secret"]
    assert [each for each in sought if each in said] == []
    by_hand = command(make_world(orders=[]), "secrets", "rotate", "--by-hand")
    assert by_hand.exit_code == 0
    assert len(by_hand.stdout.strip().splitlines()[-1].split(",")) == 2


def test_wrong_use_is_told_and_another_program_of_the_same_settings_still_opens_everything(
    make_world: MakeWorld,
) -> None:
    world = make_world(orders=[])
    assert command(world, "secrets", "rotate", "--finish", "--by-hand").exit_code == 2
    good(world, "secrets", "rotate")
    program = open_program(load_settings(environment(world)))
    try:
        (site,) = program.parts.store.sites()
        assert program.parts.peers.decrypt(site.credentials, name=site.name)["key"] == "ck_sandbox"
    finally:
        program.engine.dispose()
