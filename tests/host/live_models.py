"""A pack for one test server: GET /live_models says which models are loaded, and what is still alive.

loaded: the host's own list. ours: classes of MicroCinema's modules. tensors: bytes of all of them together.
"""

import gc

import comfy.model_management
import comfy.model_patcher
import torch
from aiohttp import web
from server import PromptServer

NODE_CLASS_MAPPINGS = {}


@PromptServer.instance.routes.get("/live_models")
async def live_models(request: web.Request) -> web.Response:
    loaded = [type(entry.model.model).__name__ for entry in comfy.model_management.current_loaded_models]
    gc.collect()
    alive = gc.get_objects()
    kinds = {type(part) for part in alive if isinstance(part, torch.nn.Module)}
    ours = sorted(kind.__name__ for kind in kinds if "microcinema" in kind.__module__)
    patchers = sum(isinstance(part, comfy.model_patcher.ModelPatcher) for part in alive)
    tensors = sum(part.nbytes for part in alive if isinstance(part, torch.Tensor))
    return web.json_response({"loaded": loaded, "ours": ours, "patchers": patchers, "tensors": tensors})
