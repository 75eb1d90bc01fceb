"""Linear algebra on one thread, where several threads would be slower."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

__all__ = ["on_one_thread"]

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def on_one_thread(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Let the linear algebra in a function run on one thread.

    For thousands of small products: handing them to several threads takes longer than the products.
    """

    @functools.wraps(function)
    def limited(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
        with _controller().limit(limits=1, user_api="blas"):
            return function(*arguments, **named)

    return limited


@functools.cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
