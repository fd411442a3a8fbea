"""What people write around a model: a FastAPI route that decodes an image, asks it, and returns a dict.

``/terms`` asks for the same four terms as the service, with the same function calls and nothing around them:
no tokens, no limits, no ledger, no other requests' images. ``/softmax`` is the shortest thing that predicts:
the network's own softmax.

    python bare_route.py RUN PORT
"""

from __future__ import annotations

import io
import logging
import sys

import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Request
from PIL import Image

from bayesight.run import Run
from bayesight.workflows.predict import Readings, judge


def application(folder: str) -> FastAPI:
    torch.set_num_threads(1)
    classifier = Run.open(folder).classifier()
    names = classifier.classes.names
    app = FastAPI()

    async def pixels_of(request: Request) -> torch.Tensor:
        image = Image.open(io.BytesIO(await request.body())).convert("L")
        return torch.from_numpy(np.asarray(image).copy())[None, None]

    @app.post("/terms")
    async def terms(request: Request):
        pixels = await pixels_of(request)
        return judge(classifier, ["image"], classifier.features([(pixels, pixels)]), Readings())[0].as_dict()

    @app.post("/softmax")
    async def softmax(request: Request):
        pixels = await pixels_of(request)
        with torch.no_grad():
            found = classifier.network(pixels.float() / 255).softmax(1)[0].tolist()
        return {"prediction": names[int(np.argmax(found))], "posterior": dict(zip(names, found, strict=True))}

    @app.post("/nothing")
    async def nothing(request: Request):
        return {"bytes": len(await request.body())}

    return app


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    uvicorn.run(application(sys.argv[1]), port=int(sys.argv[2]), access_log=False, log_config=None)
