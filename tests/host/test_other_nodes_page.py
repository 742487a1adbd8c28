"""The tables of docs/comfyui.md on other nodes: each has a case, and every node that changes a MODEL is known."""

import re
from pathlib import Path
from typing import Any

from other_nodes import CASES, HostNodes
from run_host import ROOT

PAGE = ROOT / "docs" / "comfyui.md"
SECTION = "## Which other nodes work"
# Titles of the page whose cases are functions.
HERE = {
    "Perp-Neg Guider": "test_a_third_conditioning_acts_once_it_is_encoded",
    "Dual CFG Guider": "test_a_third_conditioning_acts_once_it_is_encoded",
    "Perp-Neg (DEPRECATED by Perp-Neg Guider)": "test_the_older_perp_neg",
    "Differential Diffusion": "test_differential_diffusion_acts_on_a_mask",
    "LatentApplyOperationCFG": "test_an_operation_on_latents_acts",
    "Load LoRA (Bypass, Model Only) (for debugging)": "test_a_lora_that_is_bypassed_acts_as_one_that_is_merged",
    "Load LoRA Model": "test_a_lora_that_is_bypassed_acts_as_one_that_is_merged",
    "Load Hypernetwork": "test_a_hypernetwork_is_refused",
    "Epsilon Scaling": "test_epsilon_scaling_leaves_noise_where_the_first_step_is_far_off",
    "SDTurboScheduler": "test_noise_levels_of_another_model_are_refused",
    "LTXVScheduler": "test_schedules_of_flow_models_leave_the_background_grey",
    "Flux2Scheduler": "test_schedules_of_flow_models_leave_the_background_grey",
    "OptimalStepsScheduler": "test_schedules_of_flow_models_leave_the_background_grey",
    "Ideogram 4 Scheduler": "test_schedules_of_flow_models_leave_the_background_grey",
    "Trim Video Latent": "test_trim_takes_rows_of_the_picture_for_frames",
    "Replace Video Latent Frames": "test_replace_takes_rows_of_the_picture_for_frames",
    "NormalizeVideoLatentStart": "test_normalize_fails",
    "Sampler AR Video": "test_the_sampler_of_another_kind_of_model_says_so",
    "Train LoRA": "test_training_a_lora_is_refused",
    "Tiled Diffusion": "test_tiles_are_refused",
    "SamplerLCMUpscale": "test_a_sampler_that_scales_latents_is_refused",
    "Load Diffusion Model": "test_the_hosts_loaders_do_not_know_our_files",
    "Load Checkpoint": "test_the_hosts_loaders_do_not_know_our_files",
}
ELSEWHERE = {
    "Load LoRA (Model and CLIP)": "test_guests.py",
    "Load LoRA": "test_guests.py",
    "Apply ControlNet": "test_guests.py",
    "ModelMergeSimple": "test_merging.py",
    "ModelMergeBlocks": "test_merging.py",
    "ModelSave": "test_merging.py",
    "Save Checkpoint": "test_merging.py",
    "Conditioning (Set Area)": "bad_input.py",
    "AppearNet Encode": "bad_input.py",
    "VAE Decode": "http_graphs.py",
    "Create Video": "http_graphs.py",
    "Save Video": "http_graphs.py",
}


def rows() -> list[list[str]]:
    """The nodes that each line of the page's tables is about: what its first cell has in italics."""
    section = PAGE.read_text(encoding="utf-8").split(SECTION)[1].split("\n## ")[0]
    cells = re.findall(r"^\| (.+?) \| .+ \|$", section, flags=re.MULTILINE)
    return [re.findall(r"\*([^*]+)\*", cell) for cell in cells]


def test_each_node_of_the_page_has_a_case() -> None:
    named = {title for row in rows() for title in row}
    tested = {case.title for case in CASES} | HERE.keys() | ELSEWHERE.keys()
    assert named == tested
    functions = Path(__file__).with_name("test_other_nodes.py").read_text(encoding="utf-8")
    assert all(f"def {name}(" in functions for name in HERE.values())
    assert all(Path(__file__).with_name(file).is_file() for file in ELSEWHERE.values())


def test_each_line_that_tells_of_a_clash_names_a_node() -> None:
    """So a line without a case fails the test above."""
    section = PAGE.read_text(encoding="utf-8").split(SECTION)[1].split("\n## ")[0]
    clashes = section.split("| What does not work |")[1]
    lines = [line for line in clashes.splitlines()[2:] if line.startswith("|")]
    assert len(lines) > 10
    assert all(re.search(r"^\|[^|]*\*[^*|]+\*", line) for line in lines), lines


# Nodes that no file for our MODEL exists for: they take patches, sound or pictures of one other model.
OTHERS = {
    "Apply Anima LLLite", "Apply Qwen Image DiffSynth ControlNet", "Apply SUPIR Patch", "Apply USO Style Reference",
    "Apply Wan Uni3C ControlNet", "Apply Z-Image Fun ControlNet", "ARVideoI2V", "LTXV Reference Audio (ID-LoRA)",
    "WanInfiniteTalkToVideo",
}  # fmt: skip
UNTESTED = {
    "TorchCompileModel",
    "Load LoRA (Bypass) (For debugging)",
}  # the page says of the first; the second is one of a pair


def test_every_node_of_the_host_that_changes_a_model_is_known(host_nodes: HostNodes) -> None:
    """A new version of the host may bring another one: try it, and enter it here and on the page."""
    ours = {"MicroCinemaLoad"}
    found = {
        title
        for title, name in host_nodes.titles.items()
        if name not in ours and takes_and_gives_a_model(host_nodes.classes[name]) and not name.startswith("ModelMerge")
    }
    assert len(found) > 60
    assert found <= {case.title for case in CASES} | HERE.keys() | ELSEWHERE.keys() | OTHERS | UNTESTED


def takes_and_gives_a_model(node: Any) -> bool:
    sockets = node.INPUT_TYPES()
    kinds = [socket[0] for group in ("required", "optional") for socket in sockets.get(group, {}).values()]
    return "MODEL" in kinds and "MODEL" in (node.RETURN_TYPES or ())
