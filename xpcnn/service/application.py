"""A trained network as an ASGI application: predictions, a page to drop a picture on, health and metrics."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from time import monotonic
from typing import Any, TypeAlias

import numpy as np

from ..data.model_images import Image
from ..errors import NonFiniteError, XpcnnError
from ..extras import need
from ..options import as_count, as_flag, as_number
from ..saved import Saved, check_one_input
from ..typing import NDArray
from .batches import Batches, Full
from .errors import Refused, busy
from .guard import BODY, Guard
from .metrics import CONTENT_TYPE, Metrics
from .page import page
from .reading import pictures_of, prepared

BATCH, WAIT_MS, QUEUE, BYTES, TOP = 16, 0.0, 128, 16 * 2**20, 5  # what `xpcnn serve` takes
_WHO = "serve"
_Item: TypeAlias = tuple[str, Image, int]  # with its name, and how many classes are wanted


class Service:
    """The application; `xpcnn serve` runs it, and so does any other server of ASGI.

    Parameters
        saved : from `xpcnn.load`
        batch_size : images that are computed at once
        wait_ms : milliseconds that the first of them waits for others
        queue : images that are accepted before they are answered, and requests at the same time; more get status 503
        most_bytes : of a request's body
        scale, invert : as in `Saved.predict`
        local : answer only requests to localhost
    Raises
        OptionError : an invalid option, or a network that does not give a class or numbers for one image
        MissingExtraError : starlette is not installed

    >>> import tempfile
    >>> from xpcnn import io, load, models
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/m.safetensors"
    ...     io.save_model(models.mlp((8, 8, 1), 2, rng=0), path, input_shape=(8, 8, 1), classes="ab")
    ...     service = Service(load(path))
    >>> service.facts()
    {'input': [8, 8, 1], 'classes': ['a', 'b'], 'outputs': 'classes'}
    >>> service.close()
    """

    def __init__(
        self,
        saved: Saved,
        *,
        batch_size: int = BATCH,
        wait_ms: float = WAIT_MS,
        queue: int = QUEUE,
        most_bytes: int = BYTES,
        scale: float | None = None,
        invert: bool = False,
        local: bool = True,
    ) -> None:
        check_one_input(_WHO, saved)
        need("starlette.applications", _WHO, "for its routes")
        need("python_multipart", _WHO, "to read forms")
        self.scale = None if scale is None else as_number(_WHO, "scale", scale, "(0, inf)")
        self.saved, self.invert = saved, as_flag(_WHO, "invert", invert)
        self._answers(
            [("zeros", np.zeros(saved.input_shape, np.float32), TOP)]
        )  # an error now, not at the first request
        self.metrics = Metrics()
        self.most = as_count(_WHO, "queue", queue)
        self.batches: Batches[_Item, dict[str, Any]] = Batches(
            self._answers,
            most=as_count(_WHO, "batch_size", batch_size),
            seconds=as_number(_WHO, "wait_ms", wait_ms, "[0, inf)") / 1000,
            places=self.most,
        )
        self._readers = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "xpcnn reader")
        self.guard = Guard(
            self._routes(),
            self.metrics,
            most_bytes=as_count(_WHO, "most_bytes", most_bytes),
            most_requests=self.most,
            local=as_flag(_WHO, "local", local),
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.guard(scope, receive, send)

    def _routes(self) -> Any:
        """The application behind the guard."""
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
        from starlette.requests import ClientDisconnect
        from starlette.responses import HTMLResponse, JSONResponse, Response
        from starlette.routing import Route

        shown = HTMLResponse(page(self.saved))

        async def root(request: Any) -> Any:
            return shown

        async def health(request: Any) -> Any:
            return JSONResponse({"status": "stopping" if self.guard.stopping else "ok", **self.facts()})

        async def metrics(request: Any) -> Any:
            return Response(self.metrics.text(self.batches.sizes, self.batches.held), media_type=CONTENT_TYPE)

        async def predict(request: Any) -> Any:
            begun = monotonic()
            answers = await self._predicted(request)
            self.metrics.took(monotonic() - begun)
            return JSONResponse({"answers": answers})

        async def refuse(request: Any, error: Any) -> Any:
            allowed = ", ".join(sorted((error.headers or {}).get("Allow", "GET").split(", ")))
            why = {
                404: "there is no such page; there are /, /predict, /health and /metrics",
                405: f"expected the method {allowed}, got {request.method}",
            }
            told = why.get(error.status_code, str(error.detail))
            return JSONResponse({"error": told}, error.status_code, error.headers)

        async def refused(request: Any, error: Any) -> Any:
            await request.scope[BODY].drop()
            return JSONResponse({"error": error.why}, error.status, error.headers)

        async def gone(request: Any, error: Any) -> Any:
            return Response(status_code=400)  # that nobody reads

        async def fail(request: Any, error: Exception) -> Any:
            told = str(error) if isinstance(error, XpcnnError) else "the service has failed"
            return JSONResponse({"error": told}, 500)

        @asynccontextmanager
        async def lifespan(app: Any) -> Any:
            yield
            await asyncio.to_thread(self.close)

        routes = [
            Route("/", root),
            Route("/health", health),
            Route("/metrics", metrics),
            Route("/predict", predict, methods=["POST"]),
        ]
        handlers: Any = {
            ClientDisconnect: gone,
            HTTPException: refuse,
            Refused: refused,
            NonFiniteError: fail,
            Exception: fail,
        }
        return Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)

    def facts(self) -> dict[str, Any]:
        """What the network takes and gives."""
        saved = self.saved
        return {
            "input": list(saved.input_shape),
            "classes": list(saved.classes),
            "outputs": saved.kind_of_outputs,
        }

    def close(self) -> None:
        """Answer what has been accepted, and end the threads."""
        self._readers.shutdown()
        self.batches.close()

    async def _predicted(self, request: Any) -> list[dict[str, Any]]:
        if unknown := sorted(request.query_params.keys() - {"top_k"}):
            raise Refused(400, f"expected no parameter but top_k, got {unknown[0][:20]}")
        word = request.query_params.get("top_k", str(TOP))
        if not word.isdecimal() or not 1 <= len(word) <= 9 or int(word) < 1:
            raise Refused(400, f"expected top_k: a number of classes, got {word[:20]}")
        given = await pictures_of(request, self.most)
        work = partial(prepared, self.saved, given, scale=self.scale, invert=self.invert)
        images = await asyncio.get_running_loop().run_in_executor(self._readers, work)
        if len(images) > self.most:
            raise Refused(413, f"expected at most {self.most} images in a request, got {len(images)}")
        try:
            waiting = self.batches.submit([(name, image, int(word)) for name, image in images])
        except Full:
            raise busy() from None
        return list(await asyncio.gather(*map(asyncio.wrap_future, waiting)))

    def _answers(self, items: Sequence[_Item]) -> list[dict[str, Any]]:
        """What a batch is answered with."""
        outputs = self.saved.each_output([(name, image) for name, image, _ in items])
        return [self._answer(name, numbers, most) for (name, numbers), (*_, most) in zip(outputs, items, strict=True)]

    def _answer(self, name: str, numbers: NDArray, most: int) -> dict[str, Any]:
        saved = self.saved
        if numbers.ndim == 1:
            scores = saved.answer(name, numbers, most).scores
            if saved.kind_of_outputs == "values":
                return {"name": name, "values": [value for _, value in scores]}
            return {"name": name, "predictions": [{"class": word, "probability": share} for word, share in scores]}
        if not saved.is_classifier:
            return {"name": name, "values": numbers.tolist()}
        mask = numbers.argmax(axis=-1)  # of a class a pixel
        shares = np.bincount(mask.ravel(), minlength=numbers.shape[-1]) / mask.size
        best = saved.answer(name, shares, most).scores
        return {
            "name": name,
            "shares": [{"class": word, "share": share} for word, share in best],
            "mask": mask.tolist(),
        }
