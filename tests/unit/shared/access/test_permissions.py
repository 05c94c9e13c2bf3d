"""Rights: what is not listed needs `admin`, and a user's token concerns one user."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access.caller import ANONYMOUS_ADMIN, Caller, Scope
from shared.access.permissions import Permission, Permissions
from shared.errors import Forbidden

READ: Final = Permission(Scope.READ)
PERMISSIONS: Final = Permissions(
    {
        "GET /users/{user_id}/progress": READ,
        "GET /lessons/popular": Permission(Scope.READ, for_users=True),
        "GET /lessons/{lesson_id}": Permission(Scope.READ, for_users=True),
        "POST /statements": READ,
    },
    also_open=["GET /"],
)
READER: Final = Caller("reader", frozenset({Scope.READ}))
USER: Final = Caller("user 42", frozenset({Scope.READ}), 42)


def may(caller: Caller, method: str, path: str, query: bytes = b"") -> bool:
    try:
        PERMISSIONS.check(caller, method, path, query)
    except Forbidden:
        return False
    return True


@given(method=st.sampled_from(["GET", "POST", "HEAD", "get", ""]), path=st.text())
def test_what_is_not_listed_needs_admin(method: str, path: str) -> None:
    assert not may(READER, method, f"/other{path}")
    assert may(ANONYMOUS_ADMIN, method, f"/other{path}")


def test_a_scope_is_needed_and_another_does_not_do() -> None:
    writer = Caller("writer", frozenset({Scope.WRITE}))

    assert may(READER, "GET", "/users/1/progress")
    assert not may(writer, "GET", "/users/1/progress")
    assert not may(READER, "POST", "/users/1/progress")


@given(user_id=st.text(min_size=1).filter(lambda text: "/" not in text))
def test_a_users_token_passes_for_its_own_path_only(user_id: str) -> None:
    assert may(USER, "GET", f"/users/{user_id}/progress") is (user_id == "42")


@given(values=st.lists(st.sampled_from(["42", "43", "042", "", "42 "]), min_size=1))
def test_a_users_token_passes_for_its_own_id_in_a_query_only(values: list[str]) -> None:
    query = "&".join(f"user_id={value}" for value in values).encode()

    assert may(USER, "GET", "/lessons/7", query) is (set(values) == {"42"})


@pytest.mark.parametrize("query", [b"user_id=43", b"user%5Fid=43", b"user_id=42&user_id=43"])
def test_an_id_in_a_query_is_found_however_it_is_written(query: bytes) -> None:
    assert not may(USER, "GET", "/lessons/7", query)


def test_a_users_token_does_not_pass_where_nobody_looks_whom_it_is_about() -> None:
    assert may(READER, "POST", "/statements")
    assert not may(USER, "POST", "/statements")


def test_what_is_open_is_open_for_one_method() -> None:
    assert PERMISSIONS.is_open("GET", "/health/live")
    assert PERMISSIONS.is_open("GET", "/")
    assert not PERMISSIONS.is_open("DELETE", "/")
    assert not PERMISSIONS.is_open("GET", "/health/live/more")
