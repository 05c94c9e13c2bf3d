"""The scopes that are distributed among workers, and their order."""

from xdist.scheduler import LoadScopeScheduling

from tests.support.repository import ROOT
from tests.support.scheduling import LONGEST_FIRST, GroupScheduling, max_scopes, order_of, scope_of


def test_a_file_stays_together_and_so_do_the_halves_of_the_faults() -> None:
    assert scope_of("tests/unit/test_a.py::test_one") == scope_of("tests/unit/test_a.py::test_b[c]")
    assert scope_of("tests/unit/test_a.py::test_one") != scope_of("tests/unit/test_b.py::test_one")
    assert scope_of("tests/faults/test_a.py::test_a") == scope_of("tests/faults/test_b.py::test_b")
    assert scope_of("tests/faults/test_a.py::test_a") != scope_of("tests/faults/test_w.py::test_w")


def test_machines_have_nothing_in_common() -> None:
    assert scope_of("tests/stateful/test_a.py::test[a]") != scope_of(
        "tests/stateful/test_a.py::test[b]"
    )


def test_the_longest_come_first() -> None:
    first = [order_of(f"tests/{name}/test_a.py::test") for name in LONGEST_FIRST]

    assert first == sorted(first)
    assert max(first) < order_of("tests/unit/project/test_scheduling.py::test")


def test_what_is_begun_with_is_there() -> None:
    there = {path.stem for path in ROOT.glob("tests/**/*")}

    assert set(LONGEST_FIRST) <= there


def test_one_file_is_one_scope_but_for_machines() -> None:
    assert max_scopes(["tests/unit/project/test_scheduling.py::test_one"]) == 1
    assert 4 < max_scopes(["tests/unit"]) < 100
    assert max_scopes(["tests/stateful/test_pair.py"]) > 1000


def test_xdist_asks_for_the_scope_under_this_name() -> None:
    assert GroupScheduling._split_scope is not LoadScopeScheduling._split_scope  # noqa: SLF001
