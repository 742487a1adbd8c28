"""Sampling in two parts, merging and saving by stock nodes."""

import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from nodes_kit import CLOSE, FAR, Kit, apart, load, pictures, write_small
from safetensors.torch import save_file


@pytest.fixture(scope="module")
def two(pack: ModuleType, pack_nodes: dict[str, type], tmp_path_factory: pytest.TempPathFactory) -> tuple[Kit, Kit]:
    """Two files of one layout with different weights."""
    folder = tmp_path_factory.mktemp("two")
    first = load(pack, pack_nodes, write_small(pack, folder))
    form = first.core("checkpoint.format")
    checkpoint = form.read_checkpoint(first.path)
    torch.manual_seed(5)
    for weight in checkpoint.sections["unet"].values():
        weight += 0.1 * torch.randn_like(weight)
    form.save_checkpoint_file(folder / "second.safetensors", checkpoint, torch.float32)
    return first, load(pack, pack_nodes, folder / "second.safetensors")


def test_ksampler_advanced_in_two_parts_makes_the_same_clip(two: tuple[Kit, Kit]) -> None:
    import nodes

    kit = two[0]
    prompts, latent = kit.encode(pictures(1)), kit.prior(pictures(1))
    given = (7, 3, 2.0, "euler", "sgm_uniform", *prompts)  # as `ksampler` has them
    with torch.inference_mode():
        (half,) = nodes.KSamplerAdvanced().sample(kit.model, "enable", *given, latent, 0, 2, "enable")
        (whole,) = nodes.KSamplerAdvanced().sample(kit.model, "disable", *given, half, 2, 1000, "disable")
    assert apart(whole["samples"], kit.ksampler(prompts, latent)) < CLOSE


def network(model: Any) -> dict[str, torch.Tensor]:
    return model.model.diffusion_model.state_dict()


def saved_and_loaded(kit: Kit, model: Any, save: str) -> Any:
    """Through the stock node, a move into our folder, and Load MicroCinema, as a user does it: the MODEL."""
    import comfy_extras.nodes_model_merging as merging
    import folder_paths

    given = (model,) if save == "ModelSave" else (model, kit.clip, kit.vae)
    with torch.inference_mode():
        getattr(merging, save)().save(*given, "saved/gemischt é")
    written = max(Path(folder_paths.get_output_directory(), "saved").glob("gemischt é*"))
    target = Path(folder_paths.models_dir) / "microcinema" / written.name
    shutil.move(written, target)
    return kit.run("Load", file=target.name)[0]


@pytest.mark.parametrize(("merge", "save"), [("ModelMergeSimple", "ModelSave"), ("ModelMergeBlocks", "CheckpointSave")])
def test_a_merged_model_is_saved_and_loads_again(two: tuple[Kit, Kit], merge: str, save: str) -> None:
    """ModelMergeBlocks knows the host's block names only: its first ratio, `input`, holds for all of ours."""
    import comfy_extras.nodes_model_merging as merging

    first, second = two
    states = [{name: weight.clone() for name, weight in network(kit.model).items()} for kit in two]
    node = getattr(merging, merge)()
    given = {"ratio": 0.25} if merge == "ModelMergeSimple" else {"input": 0.25, "middle": 0.5, "out": 1.0}
    with torch.inference_mode():
        (merged,) = node.merge(first.model, second.model, **given)
    again = saved_and_loaded(first, merged, save)
    for name, weight in network(again).items():
        expected = 0.25 * states[0][name] + 0.75 * states[1][name]
        assert (weight - expected).abs().max() <= 1e-6 * expected.abs().max(), name  # one rounding of float32
    prompts, latent = first.encode(pictures(1)), first.prior(pictures(1))
    made, expected = (first.ksampler(prompts, latent, model=model) for model in (again, merged))
    assert apart(made, expected) < 1e-6
    assert apart(made, first.ksampler(prompts, latent)) > FAR


def test_a_file_of_ours_that_lost_its_header_is_refused(two: tuple[Kit, Kit], tmp_path: Path) -> None:
    """As other programs save a merge: the tensors alone."""
    path = tmp_path / "merged elsewhere.safetensors"
    save_file({f"model.diffusion_model.{name}": weight.clone() for name, weight in network(two[0].model).items()}, path)
    with pytest.raises(Exception, match=r"without its description.*merge the files anew in ComfyUI"):
        load(two[0].pack, two[0].nodes, path)
