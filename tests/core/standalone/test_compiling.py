"""torch.compile for the U-Nets of a job: how often it is at work, what comes of it, and what is said without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from microcinema_core import cli
from microcinema_core.diffusion.samplers import SAMPLERS
from microcinema_core.errors import InputError
from microcinema_core.models.unet import VideoUNet
from microcinema_core.shot.plan import ShotConfig
from microcinema_core.shot.settings import Compile, SamplingConfig
from microcinema_core.standalone import compiling
from microcinema_core.standalone.compiling import CompiledUNet, check_compile
from microcinema_core.standalone.pipeline import MicroCinemaPipeline

# Five slow frames of two chained clips: 4 segments and then 16, of which 3 go together, and one is left of each.
SHOT = ShotConfig(frames=3, after=1, passes=2)
THREE, FAST = SamplingConfig(steps=3), SamplingConfig(steps=2, cfg=1.0)
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of a scheduler
CPU = torch.device("cpu")


class Graphs(list[torch.fx.GraphModule]):
    """A backend that keeps the graphs it is given, and runs them as they are: no compiler is needed."""

    def __call__(self, module: torch.fx.GraphModule, examples: Any, **options: Any) -> Any:
        self.append(module)
        return module


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Graphs]:
    kept = Graphs()
    monkeypatch.setattr(compiling, "BACKEND", kept)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield kept
    torch._dynamo.reset()


def keyframe(shade: int) -> Image.Image:
    return Image.linear_gradient("L").resize((64, 64)).point(lambda value: min(255, value + shade)).convert("RGB")


def load(weights: Path, how: Compile) -> MicroCinemaPipeline:
    return MicroCinemaPipeline.from_pretrained(weights / "toybox-video.safetensors", compile=how)


def shoot(pipeline: MicroCinemaPipeline, prompt: str = "a star", seed: int = 0) -> np.ndarray:
    """Pixels [T, H, W, 3], as integers."""
    made = pipeline.shoot(keyframe(seed), prompt, SHOT, sampling=THREE, tsr_sampling=FAST, seed=seed, tsr_batch=3)
    return np.stack(list(made)).astype(int)


def test_a_network_is_one_graph_for_every_step_clip_pass_and_batch(weights: Path, graphs: Graphs) -> None:
    pipeline = load(weights, Compile.DEFAULT)
    graphs.clear()  # of the function that is tried
    made = shoot(pipeline)
    assert len(graphs) == 2, "the video model's, and that of temporal super-resolution"
    shoot(pipeline, prompt="two blue circles grow", seed=20)
    for sampler in (*SAMPLERS, "diffusers:unipc"):
        pipeline(keyframe(0), "a star", ShotConfig(frames=3), sampling=SamplingConfig(steps=3, sampler=sampler))
        assert len(graphs) == 2, sampler
    assert not torch._dynamo.utils.counters["graph_break"]
    # Equal but for the rounding of sums whose order depends on the batch, and then to 8 bits.
    assert np.abs(made - shoot(load(weights, Compile.NONE))).max() <= 1


class Doubling(nn.Module):
    """Stands in for a U-Net, which takes seconds to trace."""

    config = None

    def forward(self, x: Tensor, *given: Any) -> Tensor:
        return x + x


def doubling(how: Compile) -> CompiledUNet:
    return CompiledUNet(cast(VideoUNet, Doubling()), how, "a file")


def in_one_place(module: torch.fx.GraphModule, examples: Any, **options: Any) -> Callable[..., Sequence[Tensor]]:
    """A backend whose results lie where those before them lay, as a CUDA graph's do."""
    places: list[Tensor] = []

    def run(*given: Any) -> Sequence[Tensor]:
        made = module(*given)
        places.extend(torch.empty_like(one) for one in made[len(places) :])
        return tuple(place.copy_(one) for place, one in zip(places, made, strict=True))

    return run


@torch.no_grad()
@pytest.mark.usefixtures("graphs")
def test_a_result_outlives_the_next_replay_of_a_cuda_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    monkeypatch.setattr(compiling, "BACKEND", in_one_place)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: steps.append(1))
    text, (first, second) = torch.zeros(1, 24, 32), torch.randn(2, 1, 4, 3, 8, 8)
    for how, outlives in ((Compile.DEFAULT, False), (Compile.REDUCE_OVERHEAD, True)):
        network = doubling(how)
        made = network(first, torch.zeros(()), text)
        before = made.clone()
        network(second, torch.zeros(()), text)
        assert torch.equal(made, before) is outlives
    assert len(steps) == 2


def test_progress_says_when_it_is_at_work(
    weights: Path, graphs: Graphs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(animate(weights, tmp_path, "--passes=0")) == cli.DONE
    said = "microcinema: note: toybox-video.safetensors: torch.compile is at work; the first step takes a while\n"
    assert capfd.readouterr().err.count(said) == 1


def animate(weights: Path, folder: Path, *words: str, how: str = "default") -> list[str]:
    keyframe(0).save(folder / "key.png")
    quick = ("--prompt=a star", "--steps=2", "--tsr-steps=2", "--frames=3", f"--out={folder / 'clip.mp4'}")
    model = f"--model={weights / 'toybox-video.safetensors'}"
    return ["animate", str(folder / "key.png"), model, *quick, f"--compile={how}", *words]


def test_without_a_compiler_it_is_refused_in_one_line(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from torch._inductor import config, cpp_builder

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    cpp_builder.cpp_compiler_search.cache_clear()
    torch._dynamo.reset()
    with config.patch({"cpp.cxx": (None, "no-such-compiler")}):  # what the variable CXX sets as torch is imported
        assert cli.run(animate(weights, tmp_path)) == cli.WRONG_INPUT
    line = capfd.readouterr().err
    assert "torch.compile does not work here (InvalidCxxCompiler: No working C++ compiler found" in line
    assert "it needs g++ or clang++, or what CXX names: install that, or leave out compile" in line
    assert line.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "key.png"]


def test_cuda_graphs_are_refused_on_a_cpu() -> None:
    with pytest.raises(InputError, match="compile reduce-overhead is CUDA graphs, which a CPU has not; use default"):
        check_compile(Compile.REDUCE_OVERHEAD, CPU)


@torch.no_grad()
@pytest.mark.usefixtures("graphs")
def test_a_compiler_that_fails_later_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(module: torch.fx.GraphModule, examples: Any) -> Any:
        raise ValueError("the disk\nis full")

    def runs_out(module: torch.fx.GraphModule, examples: Any) -> Any:
        def run(*given: Any) -> Any:
            raise RuntimeError("CUDA out of memory")

        return run

    given = torch.zeros(1, 4, 3, 8, 8), torch.zeros(()), torch.zeros(1, 24, 32)
    monkeypatch.setattr(compiling, "BACKEND", fails)
    with pytest.raises(InputError, match=r"a file: torch.compile failed \(ValueError: the disk is full\); leave out"):
        doubling(Compile.DEFAULT)(*given)
    monkeypatch.setattr(compiling, "BACKEND", runs_out)
    with pytest.raises(RuntimeError, match="CUDA out of memory"):  # of which the program has its own to say
        doubling(Compile.DEFAULT)(*given)


@pytest.mark.slow
def test_the_compiled_frames_are_the_same(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for float32's rounding in sums of another order, which may change the last of 8 bits."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    made, expected = (
        load(weights, how)(keyframe(0), "a star", ShotConfig(frames=3), sampling=THREE).frames.astype(int)
        for how in (Compile.DEFAULT, Compile.NONE)
    )
    assert np.abs(made - expected).max() <= 1
    assert expected.std() > 10
