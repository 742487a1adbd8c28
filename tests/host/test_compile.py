"""The network under torch.compile, as the host's TorchCompileModel asks for it: one graph, for every step."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from nodes_kit import CLOSE, Kit, load, pictures, write_small

STEPS = 4


@pytest.fixture(scope="module")
def small(pack: ModuleType, pack_nodes: dict[str, type], tmp_path_factory: Any) -> Kit:
    folder: Path = tmp_path_factory.mktemp("compiled")
    return load(pack, pack_nodes, write_small(pack, folder))


class Graphs(list):
    """A backend that keeps the graphs it is given, and runs them as they are."""

    def __call__(self, module: torch.fx.GraphModule, examples: Any, **options: Any) -> Any:
        self.append(module)
        return module


def compiled(model: Any, backend: Any) -> Any:
    """As TorchCompileModel does it, whose list of backends is closed."""
    from comfy_api.torch_helpers import set_torch_compile_wrapper
    from comfy_extras.nodes_torch_compile import skip_torch_compile_dict

    clone = model.clone(disable_dynamic=True)
    set_torch_compile_wrapper(model=clone, backend=backend, options={"guard_filter_fn": skip_torch_compile_dict})
    return clone


@pytest.mark.slow
def test_a_run_is_one_graph_whatever_step_it_is_at(small: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    from comfy.ldm.modules.attention import attention_pytorch

    # What the host takes on a GPU. Its choice for a CPU asks the system for free memory, which no graph holds.
    monkeypatch.setattr(small.ours("network"), "optimized_attention", attention_pytorch)
    prompts, latent = small.encode(pictures(1)), small.prior(pictures(1))
    expected = small.ksampler(prompts, latent, steps=STEPS)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    graphs = Graphs()
    made = small.ksampler(prompts, latent, steps=STEPS, model=compiled(small.model, graphs))
    assert len(graphs) == 1
    assert not torch._dynamo.utils.counters["graph_break"]
    assert (made - expected).abs().max() <= CLOSE * expected.abs().max()
