"""Kits: what a sold kit consists of, at any depth, and what is no kit."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.kits import MAX_COMPONENTS, Component, KitError, Kits, expand, leaves, path_to
from app.domain.order import Line, LineType, Order
from tests.domain.orders import line, order
from tests.domain.profile import REPEATABLE

quantities = st.integers(1, 9).map(Decimal) | st.integers(1, 30).map(lambda tenths: Decimal(tenths) / 10)
OTHERS = (LineType.SHIPPING, LineType.TAX, LineType.FEE, LineType.COUPON, LineType.STORE_CREDIT)


def kit(*components: tuple[str, str]) -> tuple[Component, ...]:
    return tuple(Component(sku=sku, quantity=Decimal(quantity)) for sku, quantity in components)


@st.composite
def definitions(draw: st.DrawFn) -> Kits:
    """Kits K0, K1, ... of which each is made of later ones and of parts: nested, shared and repeated, never circular."""
    count = draw(st.integers(1, 5))
    names = [f"K{index}" for index in range(count)]
    return {
        name: tuple(
            draw(
                st.lists(
                    st.builds(
                        Component,
                        sku=st.sampled_from([*names[index + 1 :], "P1", "P2", "P3"]),
                        quantity=quantities,
                    ),
                    min_size=1,
                    max_size=4,
                )
            )
        )
        for index, name in enumerate(names)
    }


def needed(sku: str, kits: Kits, quantity: Decimal) -> dict[str, Decimal]:
    """How much of each part `quantity` of a kit needs: level by level, each kit's need shared out once it is complete.

    Another way than the walk that is tested: kits stand before what they are made of, so one pass over the names will do.
    """
    need = {sku: quantity}
    for name in sorted(kits):
        for component in kits[name] if name in need else ():
            need[component.sku] = need.get(component.sku, Decimal(0)) + need[name] * component.quantity
    return {name: value for name, value in need.items() if name not in kits}


def summed(components: tuple[Component, ...]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for each in components:
        found[each.sku] = found.get(each.sku, Decimal(0)) + each.quantity
    return found


def paths(sku: str, kits: Kits) -> list[tuple[tuple[str, ...], Decimal]]:
    """Every path from a kit down to a part, in definition order, with the product of the quantities along it."""
    found: list[tuple[tuple[str, ...], Decimal]] = []
    waiting: list[tuple[tuple[str, ...], Decimal]] = [((sku,), Decimal(1))]
    while waiting:
        path, product = waiting.pop()
        if path[-1] not in kits:
            found.append((path, product))
            continue
        deeper = [((*path, each.sku), product * each.quantity) for each in kits[path[-1]]]
        waiting.extend(reversed(deeper))
    return found


@REPEATABLE
@given(definitions(), quantities)
def test_a_kit_needs_of_each_part_the_product_of_the_quantities_along_every_path(
    kits: Kits, quantity: Decimal
) -> None:
    found = leaves("K0", kits=kits, quantity=quantity)
    assert summed(found) == needed("K0", kits, quantity)
    assert [(each.sku, each.quantity) for each in found] == [
        (path[-1], product * quantity) for path, product in paths("K0", kits)
    ]


@REPEATABLE
@given(definitions())
def test_the_path_to_a_part_is_the_first_one_in_definition_order(kits: Kits) -> None:
    every = paths("K0", kits)
    for part in ("P1", "P2", "P3"):
        found = path_to(" k0 ", kits=kits, component=part.lower())
        assert (
            (found in {path for path, _ in every if path[-1] == part})
            if found
            else part not in summed(leaves("K0", kits=kits))
        )


def test_nested_kits_are_resolved_in_definition_order_and_equal_parts_stay_apart() -> None:
    kits = {"SET": kit(("BOX", "2"), ("SCREW", "4")), "BOX": kit(("LID", "1"), ("SCREW", "0.5"))}
    assert leaves(" set", kits=kits, quantity=Decimal(3)) == kit(
        ("LID", "6"), ("SCREW", "3.0"), ("SCREW", "12")
    )


def test_what_is_no_kit_has_no_leaves() -> None:
    assert leaves("LID", kits={"BOX": kit(("LID", "1"))}) == ()
    assert path_to("BOX", kits={"BOX": kit(("LID", "1"))}, component="SCREW") == ()


@REPEATABLE
@given(definitions(), st.data())
def test_a_circular_definition_is_refused_and_the_circle_named(kits: Kits, data: st.DataObject) -> None:
    within = sorted({name for path, _ in paths("K0", kits) for name in path if name in kits})
    lower = data.draw(st.sampled_from(within))
    above = sorted(
        {name for path, _ in paths("K0", kits) if lower in path for name in path[: path.index(lower) + 1]}
    )
    back = Component(sku=data.draw(st.sampled_from(above)), quantity=Decimal(1))
    place = data.draw(st.integers(0, len(kits[lower])))
    circular = {**kits, lower: (*kits[lower][:place], back, *kits[lower][place:])}
    with pytest.raises(KitError) as refused:
        leaves("K0", kits=circular)
    path = refused.value.path
    assert path[0] == "K0"
    assert path[-1] in path[:-1]
    assert len(set(path)) == len(path) - 1
    assert all(child in {each.sku for each in circular[parent]} for parent, child in pairwise(path))
    assert str(refused.value) == f"The kit definition is circular: {' > '.join(path)}."


@pytest.mark.parametrize(
    ("_case", "kits", "message", "path"),
    [
        ("of itself", {"A": kit(("A", "1"))}, "The kit definition is circular: A > A.", ("A", "A")),
        (
            "of itself, further down",
            {"A": kit(("P", "1"), ("B", "2")), "B": kit(("C", "1")), "C": kit(("B", "1"))},
            "The kit definition is circular: A > B > C > B.",
            ("A", "B", "C", "B"),
        ),
        ("of nothing", {"A": ()}, "The kit A has no components.", ("A",)),
        (
            "of a kit of nothing",
            {"A": kit(("B", "1")), "B": ()},
            "The kit A > B has no components.",
            ("A", "B"),
        ),
        (
            "of none of something",
            {"A": kit(("P", "0"))},
            "The kit A has a quantity that is not above zero.",
            ("A",),
        ),
        (
            "of less than none",
            {"A": kit(("P", "-1"))},
            "The kit A has a quantity that is not above zero.",
            ("A",),
        ),
    ],
)
def test_a_kit_made_of_what_cannot_be_is_refused_and_the_path_named(
    _case: str, kits: Mapping[str, tuple[Component, ...]], message: str, path: tuple[str, ...]
) -> None:
    before = order(line(LineType.PRODUCT, sku="a"))
    for attempt in (lambda: leaves("A", kits=kits), lambda: expand(before, kits=kits)):
        with pytest.raises(KitError) as refused:
            attempt()
        assert (str(refused.value), refused.value.path) == (message, path)


def test_a_kit_may_have_as_many_components_as_the_limit_and_not_one_more() -> None:
    most = {"A": kit(*[("P", "1")] * MAX_COMPONENTS)}
    assert len(leaves("A", kits=most)) == MAX_COMPONENTS
    with pytest.raises(KitError, match="more than 2000 components"):
        leaves("A", kits={"A": (*most["A"], *kit(("P", "1")))})


def test_a_chain_of_kits_that_is_too_deep_is_refused_with_its_path() -> None:
    chain = {f"K{level}": kit((f"K{level + 1}", "1")) for level in range(1500)}
    with pytest.raises(KitError, match="The kit K0 is nested more than 50 deep") as refused:
        leaves("K0", kits=chain)
    assert refused.value.path == tuple(f"K{level}" for level in range(51))


def test_a_component_quantity_with_more_than_five_decimals_is_refused() -> None:
    tiny = {"A": kit(("B", "0.001")), "B": kit(("P", "0.001"))}
    with pytest.raises(KitError, match=r"A > B > P comes to 0\.000001, which has too many decimals"):
        leaves("A", kits=tiny)


def test_the_path_to_a_component_ends_in_a_circle() -> None:
    assert path_to("A", kits={"A": kit(("B", "1")), "B": kit(("A", "1"))}, component="P") == ()


def test_a_definition_that_doubles_at_each_of_forty_levels_is_refused_at_once() -> None:
    doubling = {f"K{level}": kit((f"K{level + 1}", "1"), (f"K{level + 1}", "1")) for level in range(40)}
    with pytest.raises(KitError, match="The kit K0 has more than 2000 components") as refused:
        leaves("K0", kits=doubling)
    assert refused.value.path == tuple(f"K{level}" for level in range(41))


@st.composite
def sold(draw: st.DrawFn) -> tuple[Order, Kits]:
    """An order of kits, parts and unknown SKUs among lines of other types, and the definitions."""
    kits = draw(definitions())
    skus = st.sampled_from([*kits, *(name.lower() for name in kits), " K0 ", "P1", "X", "", None])
    products = st.builds(
        lambda sku, quantity: line(LineType.PRODUCT, "5.00", sku=sku, quantity=quantity), skus, quantities
    )
    others = st.sampled_from(OTHERS).map(lambda kind: line(kind, "1.00", sku="K0"))
    made = draw(st.lists(products | others, max_size=6))
    assume(all(len(leaves(each.sku or "", kits=kits)) < 200 for each in made))
    return order(*made), kits


def without_places(lines: tuple[Line, ...]) -> list[Line]:
    return [replace(each, position=0, parent=None) for each in lines]


@REPEATABLE
@given(sold())
def test_components_follow_their_kit_and_point_at_it_and_nothing_else_changes(
    case: tuple[Order, Kits],
) -> None:
    before, kits = case
    after = expand(before, kits=kits)
    assert [each.position for each in after.lines] == list(range(1, len(after.lines) + 1))
    own = tuple(each for each in after.lines if each.type is not LineType.COMPONENT)
    assert without_places(own) == without_places(before.lines)
    rest = list(after.lines)
    while rest:
        parent = rest.pop(0)
        assert parent.parent is None
        is_kit = parent.type is LineType.PRODUCT and parent.sku
        expected = leaves(parent.sku or "", kits=kits, quantity=parent.quantity) if is_kit else ()
        components = [rest.pop(0) for _ in expected]
        assert {(each.type, each.amount, each.parent) for each in components} <= {
            (LineType.COMPONENT, Decimal(0), parent.position)
        }
        assert [(each.sku, each.quantity) for each in components] == [
            (each.sku, each.quantity) for each in expected
        ]
        for each in components:
            assert each.detail.split(" > ") == list(
                path_to(parent.sku or "", kits=kits, component=each.sku or "")
            )


@REPEATABLE
@given(sold())
def test_expanding_again_changes_nothing(case: tuple[Order, Kits]) -> None:
    before, kits = case
    once = expand(before, kits=kits)
    assert expand(once, kits=kits) == once


def test_the_components_a_platform_lists_itself_are_replaced_by_ours() -> None:
    kits = {"BOX": kit(("LID", "1"), ("SCREW", "4"))}
    before = order(
        line(LineType.COMPONENT, sku="THEIRS", parent=2),
        line(LineType.PRODUCT, "9.00", sku="BOX", quantity="2"),
        line(LineType.COMPONENT, sku="LID", parent=2),
        line(LineType.SHIPPING, "5.00"),
    )
    after = expand(before, kits=kits)
    assert [
        (each.position, each.type.value, each.sku, str(each.quantity), each.parent) for each in after.lines
    ] == [
        (1, 1, "BOX", "2", None),
        (2, 2, "LID", "2", 1),
        (3, 2, "SCREW", "8", 1),
        (4, 3, None, "1", None),
    ]


@REPEATABLE
@given(kits=definitions(), data=st.data())
def test_what_the_platform_has_picked_apart_is_never_expanded_again(kits: Kits, data: st.DataObject) -> None:
    skus = st.sampled_from([*kits, "P1", "P2"])
    picked_apart = line(LineType.PRODUCT, "10.00", sku=data.draw(skus))
    piece = line(LineType.PRODUCT, sku=data.draw(skus), parent=1)
    other = line(LineType.PRODUCT, "5.00", sku=data.draw(skus))
    given_order = order(picked_apart, piece, other, total="15.00")
    expanded = expand(given_order, kits=kits)
    assert [(each.sku, each.parent) for each in expanded.lines[:2]] == [
        (picked_apart.sku, None),
        (piece.sku, 1),
    ]
    assert {each.parent for each in expanded.of_type(LineType.COMPONENT)} <= {3}
    assert summed(
        tuple(
            Component(sku=each.sku or "", quantity=each.quantity)
            for each in expanded.of_type(LineType.COMPONENT)
        )
    ) == summed(leaves(other.sku or "", kits=kits))
    assert expand(expanded, kits=kits) == expanded
