"""The pipeline, with small untrained networks: what depends on what, how often, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from microcinema_core.checkpoint.embedded import file_name
from microcinema_core.checkpoint.format import read_checkpoint
from microcinema_core.config import Kind
from microcinema_core.errors import Cancelled, CheckpointError, InputError
from microcinema_core.models.injection import Appearance
from microcinema_core.shot.plan import ShotConfig
from microcinema_core.shot.settings import PictureConfig, SamplingConfig
from microcinema_core.standalone.pipeline import ImagePipeline, MicroCinemaPipeline
from microcinema_core.worlds.toybox.world import Background, Colour, Motion, Scene, Shape, Speed, render

# diffusers renames the argument that its older versions need.
pytestmark = pytest.mark.filterwarnings("ignore:`torch_dtype` is deprecated")


ONE, TWO = SamplingConfig(steps=1), SamplingConfig(steps=2)
SHORT = ShotConfig(frames=3)
DIALS: list[dict[str, Any]] = [{"cfg": 5.0}, {"gamma": 0.5}, {"sampler": "euler_ancestral"}, {"steps": 3}]


def picture(shape: Shape = Shape.STAR, size: int = 64) -> Image.Image:
    scene = Scene(shape, Colour.RED, Motion.LEFT, Speed.FAST, Background.MEADOW, 0.5, 0.5, 0.15, 0.3)
    return Image.fromarray(render(scene, [0.0], size)[0])


@pytest.fixture(scope="module")
def pipeline(weights: Path) -> MicroCinemaPipeline:
    return MicroCinemaPipeline.from_pretrained(weights / "toybox-video.safetensors")


@pytest.fixture(scope="module")
def images(weights: Path) -> ImagePipeline:
    return ImagePipeline.from_pretrained(weights / "toybox-image.safetensors")


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal but for the rounding to 8 bits of results that differ by float32 rounding, from other batch sizes."""
    return int(np.abs(a.astype(int) - b).max()) <= 1


def test_a_clip_and_its_settings(pipeline: MicroCinemaPipeline) -> None:
    clips = pipeline(picture(), "a red star moves left", sampling=TWO, seed=5)
    assert clips.frames.shape == (1, 9, 64, 64, 3)
    assert clips.frames.dtype == np.uint8
    assert clips.fps == 2.0
    assert clips.frames.std() > 10  # else the comparisons below would say nothing
    (settings,) = clips.settings
    expected = {
        "prompt": "a red star moves left", "seed": 5, "steps": 2, "cfg": 2.0, "sampler": "dpmpp_2m", "gamma": 0.0,
        "keyframe_at": 4, "frames": 9, "fps": 2.0, "width": 64, "height": 64, "model": "toybox-video.safetensors",
    }  # fmt: skip
    assert expected.items() <= settings.items()


def test_repeatable_and_each_input_matters(pipeline: MicroCinemaPipeline) -> None:
    def clip(image: Any = None, prompt: str = "a red star moves left", **changes: Any) -> np.ndarray:
        return pipeline(image or picture(), prompt, **{"shot": SHORT, "sampling": TWO, **changes}).frames[0]

    base = clip()
    assert np.array_equal(clip(), base)
    changes = [
        clip(picture(Shape.SQUARE)),
        clip(prompt="a blue circle grows"),
        clip(seed=1),
        *(clip(sampling=replace(TWO, **dial)) for dial in DIALS),
        *(clip(shot=replace(SHORT, keyframe_at=at)) for at in ("first", "last")),
    ]
    for i, changed in enumerate(changes):
        assert not close(changed, base), i


def test_frame_count_is_free(pipeline: MicroCinemaPipeline) -> None:
    assert pipeline(picture(), "", SHORT, sampling=ONE).frames.shape[1] == 3
    last = ShotConfig(frames=1, keyframe_at="last")
    assert pipeline(picture(), "", last, sampling=ONE).settings[0]["keyframe_at"] == 0


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "euler_ancestral", "diffusers:ddpm"])
def test_clips_do_not_depend_on_their_batch_mates(pipeline: MicroCinemaPipeline, sampler: str) -> None:
    prompts, seeds = ["a red star moves left", "a blue circle grows"], [7, 8]
    keys = [picture(), picture(Shape.SQUARE)]
    sampling = replace(TWO, sampler=sampler)
    both = pipeline(keys, prompts, SHORT, sampling=sampling, seed=seeds)
    for i in range(2):
        alone = pipeline(keys[i], prompts[i], SHORT, sampling=sampling, seed=seeds[i])
        assert close(both.frames[i], alone.frames[0])
        assert both.settings[i] == alone.settings[0]


def test_one_picture_serves_several_prompts_and_seeds(pipeline: MicroCinemaPipeline) -> None:
    shared = pipeline(picture(), "a red star moves left", SHORT, sampling=TWO, seed=[1, 2, 3])
    assert [settings["seed"] for settings in shared.settings] == [1, 2, 3]
    alone = pipeline(picture(), "a red star moves left", SHORT, sampling=TWO, seed=2)
    assert close(shared.frames[1], alone.frames[0])
    assert not close(shared.frames[0], shared.frames[1])


def appearances(
    pipeline: MicroCinemaPipeline,
    image: Any,
    prompt: str = "a red star moves left",
    shot: ShotConfig = SHORT,
    sampling: SamplingConfig = ONE,
    seed: int = 0,
) -> list[Appearance]:
    """What AppearNet answered during one call, once for each time it was asked."""
    seen: list[Appearance] = []
    handle = pipeline.appearnet.register_forward_hook(lambda module, inputs, output: seen.append(output))
    try:
        pipeline(image, prompt, shot, sampling=sampling, seed=seed)
    finally:
        handle.remove()
    return seen


@pytest.mark.parametrize("steps", [4, 40])
def test_appearnet_runs_once_and_the_unet_at_every_step(pipeline: MicroCinemaPipeline, steps: int) -> None:
    calls: list[int] = []
    handle = pipeline.bundle.networks.unet.register_forward_hook(lambda *_: calls.append(1))
    assert len(appearances(pipeline, picture(), shot=ShotConfig(frames=1), sampling=SamplingConfig(steps=steps))) == 1
    handle.remove()
    assert len(calls) == steps


def tensors(appearance: Appearance) -> list[Tensor]:
    return [*appearance.add.values(), *appearance.spade.values()]


def test_appearance_depends_on_the_keyframe_alone(pipeline: MicroCinemaPipeline) -> None:
    (base,) = appearances(pipeline, picture())
    others = [
        appearances(pipeline, picture(), "a blue circle grows"),
        appearances(pipeline, picture(), seed=9),
        appearances(pipeline, picture(), sampling=SamplingConfig(steps=2, sampler="euler", cfg=1.0, gamma=0.3)),
        appearances(pipeline, picture(), shot=replace(SHORT, keyframe_at="last")),
        appearances(pipeline, picture(), shot=ShotConfig(frames=5)),
    ]
    for (other,) in others:
        assert all(torch.equal(a, b) for a, b in zip(tensors(base), tensors(other), strict=True))
    (changed,) = appearances(pipeline, picture(Shape.SQUARE))
    assert not any(torch.equal(a, b) for a, b in zip(tensors(base), tensors(changed), strict=True))
    assert all(tensor.shape[1] == 1 for tensor in tensors(base))  # one frame, not nine


def test_pictures_of_every_type_and_size(pipeline: MicroCinemaPipeline) -> None:
    def clip(image: Any) -> np.ndarray:
        return pipeline(image, "", ShotConfig(frames=2), sampling=ONE).frames

    base = clip(picture())
    array = np.asarray(picture())
    assert np.array_equal(clip(array), base)
    assert np.array_equal(clip(torch.from_numpy(array.copy()).movedim(-1, 0) / 255), base)
    assert clip(picture().resize((301, 77))).shape == base.shape


def test_callback_counts_steps_and_can_cancel(pipeline: MicroCinemaPipeline) -> None:
    seen: list[tuple[int, int, tuple[int, ...]]] = []

    def watch(step: int, steps: int, x0: Tensor) -> None:
        seen.append((step, steps, tuple(x0.shape)))
        if step == 3:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        pipeline(picture(), "a red star", sampling=SamplingConfig(steps=5), callback=watch)
    assert seen == [(step, 5, (1, 4, 9, 8, 8)) for step in (1, 2, 3)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampling": SamplingConfig(sampler="magic")}, "dpmpp_2m"),
        ({"sampling": SamplingConfig(sampler="diffusers:magic")}, "diffusers:unipc"),
        ({"seed": -1}, "seed"),
        ({"seed": [1, 2, 3], "prompt": ["a", "b"]}, "2 were given and 3"),
        ({"seed": []}, "0 were given"),
        ({"shot": ShotConfig(keyframe_at="9")}, "from 0 to 8"),
        ({"shot": ShotConfig(passes=1)}, "passes: .*`shoot`"),
        ({"shot": ShotConfig(duration=4.5)}, "duration: .*`shoot`"),
        ({"prompt": "x" * 20_000}, "20000 characters"),
        ({"prompt": "\udc80"}, "Unicode"),
        ({"image": "key.png"}, "picture"),
    ],
)
def test_unusable_values_are_refused(pipeline: MicroCinemaPipeline, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        pipeline(**{"image": picture(), "prompt": "a red star", **changes})


def test_empty_and_long_prompts_warn(pipeline: MicroCinemaPipeline, caplog: pytest.LogCaptureFixture) -> None:
    pipeline(picture(), ["", "a red star", "star " * 100], ShotConfig(frames=1), sampling=ONE)
    assert [record.getMessage().split(":")[0] for record in caplog.records if record.name == "microcinema"] == [
        "the prompt is empty",
        "the prompt is longer than the model reads",
    ]


def test_half_precision_gives_nearly_the_same_clip(pipeline: MicroCinemaPipeline, weights: Path) -> None:
    half = MicroCinemaPipeline.from_pretrained(weights / "toybox-video.safetensors", dtype=torch.bfloat16)
    assert {p.dtype for p in half.bundle.networks.unet.parameters()} == {torch.bfloat16}
    dials = SamplingConfig(steps=2, cfg=1.0)
    a, b = (p(picture(), "a red star", SHORT, sampling=dials).frames.astype(float) for p in (pipeline, half))
    assert np.abs(a - b).mean() < a.std() / 4  # bfloat16 has three digits; untrained networks amplify


def test_a_picture_from_text(images: ImagePipeline) -> None:
    two = PictureConfig(steps=2)
    made = images(["a red star", "a blue circle"], two, seed=[1, 2])
    assert made.pictures.shape == (2, 64, 64, 3)
    assert made.pictures.std() > 10
    assert close(made.pictures[1], images("a blue circle", two, seed=2).pictures[0])
    assert made.settings[1]["seed"] == 2
    with pytest.raises(InputError, match="64x64"):
        images("a red star", PictureConfig(width=128))


def test_files_of_the_wrong_kind_are_refused(weights: Path) -> None:
    with pytest.raises(CheckpointError, match="of kind image"):
        MicroCinemaPipeline.from_pretrained(weights / "toybox-image.safetensors")
    with pytest.raises(CheckpointError, match="of kind video"):
        ImagePipeline.from_pretrained(weights / "toybox-video.safetensors")
    with pytest.raises(CheckpointError, match="model_index"):
        ImagePipeline.from_pretrained(weights)
    with pytest.raises(InputError, match="attention"):
        MicroCinemaPipeline.from_pretrained(weights / "toybox-video.safetensors", attention="magic")


def test_published_files_hold_the_trained_tensors(stages: dict[Kind, Path], weights: Path) -> None:
    for kind, source in stages.items():
        before, after = read_checkpoint(source), read_checkpoint(weights / file_name(kind))
        assert before.header.provenance == after.header.provenance
        for section, state in before.sections.items():
            assert all(torch.equal(after.sections[section][key], value) for key, value in state.items())
    companions = read_checkpoint(weights / "toybox-video.safetensors").header.companions
    assert {c.file for c in companions.values()} == {"toybox-autoencoder.safetensors", "toybox-text.safetensors"}
    assert len(list(weights.iterdir())) == len(stages)


@pytest.fixture(scope="module")
def diffusers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole Stable Diffusion folder, with networks of a few channels."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    from microcinema_core.config import END_TOKEN, START_TOKEN
    from microcinema_core.standalone.text import train_tokenizer

    torch.manual_seed(0)
    stored = train_tokenizer(["a red star"], 600)
    tokenizer = CLIPTokenizer(vocab=stored["vocab"], merges=[tuple(m.split(" ")) for m in stored["merges"]])
    tokenizer.model_max_length = 16
    text = CLIPTextConfig(
        vocab_size=600, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=16, bos_token_id=stored["vocab"][START_TOKEN], eos_token_id=stored["vocab"][END_TOKEN],
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 8), layers_per_block=1, cross_attention_dim=16, norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=4,
    )  # fmt: skip
    types = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    vae = AutoencoderKL(block_out_channels=(8,) * 4, norm_num_groups=4, **types)
    scheduler = DDIMScheduler(steps_offset=1, clip_sample=False)
    pipeline = StableDiffusionPipeline(
        vae, CLIPTextModel(text), tokenizer, unet, scheduler, None, None, requires_safety_checker=False
    )
    folder = tmp_path_factory.mktemp("models") / "tiny-sd"
    pipeline.save_pretrained(folder)
    return folder


def test_a_diffusers_folder_makes_pictures(diffusers_folder: Path) -> None:
    images = ImagePipeline.from_pretrained(diffusers_folder)
    seen: list[tuple[int, int]] = []
    asked = PictureConfig(steps=2, width=64, height=72)
    made = images("a red star", asked, seed=3, callback=lambda i, n, _: seen.append((i, n)))
    assert made.pictures.shape == (1, 72, 64, 3)
    assert seen == [(1, 2), (2, 2)]
    assert made.settings[0]["model"] == "tiny-sd"
    assert np.array_equal(images("a red star", asked, seed=3).pictures, made.pictures)
    for wrong, seed in ((PictureConfig(sampler="euler"), 0), (PictureConfig(width=65), 0), (asked, -1)):
        with pytest.raises(InputError):
            images("a red star", wrong, seed=seed)


def test_a_diffusers_folder_with_pickles_alone_is_refused(diffusers_folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "pickled"
    shutil.copytree(diffusers_folder, copy)
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(CheckpointError, match="pickled"):
        ImagePipeline.from_pretrained(copy)
