"""botocore.

Read in botocore 1.44.5. `Endpoint._do_get_response` is replaced. It is called once for each attempt, outside of the
`before-send` event by which moto answers. (A `Stubber` answers before there is a request, so nothing of it can be
seen.)
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from pytest_llm_usage.http_clients.observer import LazyHeaders, Observation, Observer, as_bytes
from pytest_llm_usage.http_clients.patches import Patches
from pytest_llm_usage.http_clients.urllib3 import observe_raw
from pytest_llm_usage.wire.exchange import Headers

__all__ = ["attach"]


def attach(library: ModuleType, observer: Observer, patches: Patches) -> None:
    """Observe the endpoints of botocore."""

    def wrap(original: Any) -> Any:
        def _do_get_response(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            observation = observer.begin(request.method, request.url, lambda: _details(request))
            if observation is None:
                return original(self, request, *args, **kwargs)
            with observation:
                answer = original(self, request, *args, **kwargs)
            return observation.attached(answer, _attach_to)

        return _do_get_response

    patches.replace(library.Endpoint, "_do_get_response", ("self", "request", "operation_model"), wrap)


def _details(request: Any) -> tuple[Headers, bytes]:
    headers = (
        (name, value.decode("latin-1") if isinstance(value, bytes) else str(value))
        for name, value in request.headers.items()
    )
    return LazyHeaders(headers), as_bytes(request.body)


def _attach_to(answer: Any, observation: Observation) -> None:
    success, _ = answer
    if success is None:
        return
    response = success[0]
    if not observation.respond(response.status_code, LazyHeaders(response.headers.items())):
        return
    content = response._content  # noqa: SLF001 - `content` would read it
    if content is None:
        observe_raw(response.raw, observation)
    else:
        observation.take_whole(content)
