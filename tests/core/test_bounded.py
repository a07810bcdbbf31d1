"""A table that anybody may add rows to stays as large as it was meant to be."""

from exo_supervisor.core.bounded import Bounded


def test_a_full_table_drops_its_oldest_row() -> None:
    table = Bounded[str, int](3)
    for number, key in enumerate("abcd"):
        table[key] = number
    assert table == {"b": 1, "c": 2, "d": 3}


def test_a_row_that_is_set_again_drops_nobody_and_keeps_its_place() -> None:
    table = Bounded[str, int](2)
    table["a"] = table["b"] = 0
    table["a"] = 1
    assert list(table.items()) == [("a", 1), ("b", 0)]


def test_a_row_that_is_renewed_is_the_youngest() -> None:
    table = Bounded[str, int](2)
    table["a"] = table["b"] = 0
    table.renew("a", 1)
    table["c"] = 2
    assert table == {"a": 1, "c": 2}
