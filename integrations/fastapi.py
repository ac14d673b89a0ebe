"""FastAPI: as Starlette, with dependencies that declare a zone, and answers made of labelled values.

Source: what `collected=`, or the policy's table `[collected]`, says of a request's fields, as in the integration of
Starlette, which it installs; parameters and fields of models annotated with `taint.Collected`.
Sink: none. A response goes to whoever asked, and its body carries no labels.

Covered: `Annotated[str, Form()]`, `Query()`, `Header()`, `Cookie()`, `Path()`, `Body()`, `File()`, models of all
of these, with and without `taint.Collected`; `Depends(in_zone(purpose))` on a route, a router or the application, for
handlers that are coroutines or run in the thread pool; answers with labelled texts, numbers and dates, with and
without a response model. It needs pydantic's integration, and installs it.

Not covered: what the integrations of Starlette and pydantic do not cover.

    import taint
    from taint.integrations.fastapi import FastapiIntegration
    taint.install(integrations=[FastapiIntegration(collected={"phone": taint.Collected("security.mfa")})])
    # or, where the policy says what is collected: taint.install(integrations=["fastapi"])
    import fastapi
    scope = {"type": "http", "method": "GET", "query_string": b"phone=1", "headers": []}
    taint.labels_of(fastapi.Request(scope).query_params["phone"])                 # Labels of the phone
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

from taint.carriers.proxy import TaintedProxy
from taint.carriers.values import carriers_in, plain
from taint.flows.requests import Table
from taint.flows.zones import zone
from taint.integrations.base import Integration
from taint.integrations.pydantic import PydanticIntegration
from taint.integrations.starlette import StarletteIntegration
from taint.propagation.patches import Swap

__all__ = ["FastapiIntegration", "in_zone"]


class FastapiIntegration(Integration):
    """Labels fields of requests, and keeps labels through the validation of parameters and bodies.

    Args:
        collected: As for `StarletteIntegration`.
        subject: As for `StarletteIntegration`.

    Raises:
        ConfigurationError: `collected` is not usable as written.
    """

    identifier = "fastapi"
    requires = ("fastapi>=0.110", "pydantic>=2.7", "starlette>=0.37")

    def __init__(self, *, collected: Table | None = None, subject: Callable[[Any], object] | None = None) -> None:
        super().__init__()
        self._starlette = StarletteIntegration(collected=collected, subject=subject)
        self._pydantic = PydanticIntegration()

    def _install(self) -> None:
        import fastapi.routing

        self._starlette.install()
        self._pydantic.install()
        # The one function between a handler's result and its serialisers; no event, nor a class to be given.
        self._wrap((Swap(fastapi.routing, "serialize_response", _serializing),))

    def _uninstall(self) -> None:
        self._pydantic.uninstall()
        self._starlette.uninstall()


def in_zone(purpose: str, *, name: str | None = None, mode: str | None = None) -> Callable[[], AsyncIterator[None]]:
    """Give a dependency by which a route, a router or an application runs in a zone.

        @app.post("/ads", dependencies=[Depends(in_zone("advertising.audiences"))])

    Labels: as in `taint.zone`. It begins before the route's own parameters are validated, and ends after the handler.

    Args:
        purpose: What requests are handled for.
        name: What findings name; the purpose by default.
        mode: What a violation inside does; as for `taint.zone`.

    Raises:
        ConfigurationError: The purpose or the mode is not usable as written.
    """
    stretch = zone(purpose, name=name, mode=mode)

    # A coroutine: a dependency that is a plain generator runs on another thread than the handler.
    async def dependency() -> AsyncIterator[None]:
        with stretch:
            yield

    return dependency


def _serializing(native: Callable[..., Any]) -> Callable[..., Any]:
    async def again(error: Exception, given: dict[str, Any]) -> Any:
        content = given.get("response_content")
        if not any(type(carrier) is TaintedProxy for _, carrier in carriers_in(content)):
            raise error
        # pydantic and `jsonable_encoder` take numbers and dates of the exact type only. A twin: others hold the value.
        return await native(**{**given, "response_content": plain(copy.deepcopy(content))})

    # Every answer goes through it with ten arguments by name: to collect them would take three times as long.
    names = inspect.signature(native).parameters
    passed = ", ".join(f"{name}={name}" for name in names)
    source = (
        f"async def serialize(*, {', '.join(names)}):\n"
        "    try:\n"
        f"        return await native({passed})\n"
        "    except Exception as error:\n"
        f"        return await again(error, dict({passed}))\n"
    )
    namespace: dict[str, Any] = {"native": native, "again": again}
    exec(compile(source, __file__, "exec"), namespace)  # noqa: S102  # Names of arguments.
    serialize = namespace["serialize"]
    serialize.__kwdefaults__ = native.__kwdefaults__
    return functools.wraps(native)(serialize)
