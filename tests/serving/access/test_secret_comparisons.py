"""Secrets are compared in constant time: a fact of the source; no test's clock can show it."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from serving.access.authenticator import Authenticator
from serving.worker.worker_key import WorkerKey

CHECKS = [Authenticator._check_secret, WorkerKey.is_in]


@pytest.mark.parametrize("check", CHECKS, ids=lambda one: one.__qualname__)
def test_no_secret_is_compared_but_by_compare_digest(check: Callable[..., Any]) -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(check)))

    compared = [
        ast.unparse(side)
        for one in ast.walk(tree)
        if isinstance(one, ast.Compare)
        for side in (one.left, *one.comparators)
    ]
    called = [ast.unparse(one.func) for one in ast.walk(tree) if isinstance(one, ast.Call)]

    assert "hmac.compare_digest" in called
    # What precedes a key's secret is public.
    assert set(compared) <= {"prefix", "PREFIX", "key", "None"}


def test_a_secret_of_any_letters_is_no_error() -> None:
    key = WorkerKey("0123456789abcdef" * 2)

    assert key.is_in("0123456789abcdef" * 2)
    assert not key.is_in(None)
    assert not key.is_in("")
    assert not key.is_in("schlüssel" * 4)
