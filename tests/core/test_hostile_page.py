"""Each line of docs/hostile-input.md names what a test does: those here by the test's name, the others row by row."""

from __future__ import annotations

import ast
from pathlib import Path

import hostile
import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "hostile-input.md").read_text(encoding="utf-8")
ELSEWHERE = {  # sections whose own tests read their table
    "Pictures": "core/media/test_hostile_pictures.py",
    "Videos to learn from": "training/test_hostile_films.py",
    "Pictures to learn from": "training/test_pictures.py",
    "Lists and shards of videos": "training/test_hostile_sources.py",
    "Models of others": "core/importers/test_hostile_sources.py",
    "Training configurations": "training/test_parts.py",
}
FILES = {
    "camera": "core/cli/test_camera.py",
    "commands": "core/cli/test_hostile_commands.py",
    "controls": "core/cli/test_controls.py",
    "outputs": "core/cli/test_outputs.py",
    "hostile": "core/checkpoint/test_hostile_checkpoints.py",
    "files": "core/checkpoint/test_checkpoint.py",
    "fill": "core/cli/test_fill.py",
    "layers": "core/cli/test_layers.py",
    "painting": "core/cli/test_painting.py",
    "limits": "core/media/test_limits.py",
    "lora": "core/cli/test_lora.py",
    "loras": "core/checkpoint/test_lora_file.py",
    "work": "core/standalone/test_workspace.py",
    "state": "training/test_hostile_state.py",
    "teach": "core/cli/test_teach.py",
}
# Section: the test of each of its lines, and that line's first column.
LINES = {
    "Prompts and numbers": r"""
        commands empty_prompts_work_with_a_warning
            an empty prompt, or only spaces
        commands a_prompt_longer_than_the_model_reads_works_with_a_warning
            more words than the model reads
        commands a_prompt_of_ten_thousand_words_is_refused
            10,000 words, or more than 10,000 characters
        commands any_text_is_a_prompt_and_comes_back_from_the_file
            emoji, right-to-left text, piled-up accents, control characters, NUL
        commands any_text_is_a_prompt_and_comes_back_from_the_file
            the model's own tokens (`<\
        commands what_is_no_unicode_is_refused
            half a surrogate pair, bytes that are not UTF-8
        commands numbers_that_cannot_be_are_refused
            a negative, zero, NaN, infinite or enormous number, or no number at all
        commands numbers_that_cannot_be_are_refused
            a number of 5,000 digits
        controls errors_are_json_too
            a duration longer than the clip, when it may not be chained
        commands numbers_that_cannot_be_are_refused
            a keyframe position outside the clip
    """,
    "Checkpoints": r"""
        hostile what_is_no_regular_file
            missing, a folder, a pipe, a device, a circle of links
        files other_files_are_refused_by_what_they_are
            empty, text, a picture
        hostile truncated_anywhere
            truncated at any byte
        hostile pickles_are_never_opened_whatever_their_name
            a pickle (`.pt`, `.ckpt`, or named `.safetensors`)
        hostile models_of_others_are_refused_and_inspect_names_them
            a LoRA, another model's U-Net, any other safetensors file
        hostile header_lengths_that_cannot_be
            a header length of 2^60
        hostile hostile_files_cost_neither_memory_nor_time
            a header above 8 MB, such as metadata of 50 MB or 400,000 tensors
        hostile hostile_headers_are_refused_in_one_line
            metadata entries above 1 MB (the tokenizer: 4 MB), so JSON bombs
        hostile hostile_headers_are_refused_in_one_line
            deeply nested JSON, a number of 5,000 digits
        hostile hostile_headers_are_refused_in_one_line
            10^9 channels, 10^6 layers, negative sizes, NaN
        hostile hostile_headers_are_refused_in_one_line
            an integer beyond floats (10^400), true for a number, 2.0 for a whole number
        hostile numbers_finite_in_float64_alone_are_refused
            numbers that float32 cannot hold, in the configuration or in tensors of float64
        hostile hostile_files_cost_neither_memory_nor_time
            one tensor of 2 GB of zeros in a file that takes no room
        files a_configuration_of_enormous_size_allocates_nothing
            sizes within the bounds that the tensors do not bear out
        hostile a_configuration_of_many_blocks_is_refused_even_with_many_tensors
            more than 256 blocks in one network
        hostile hostile_headers_are_refused_in_one_line
            a newer format version
        files a_changed_file_is_refused_by_name
            NaN or infinity in any weight
        files a_changed_file_is_refused_by_name
            keys too many or too few, wrong shapes, integers for weights
        files a_companions_name_never_leads_out_of_the_folder
            a companion named `../../etc/passwd`, `/etc/passwd` or anything but a plain file name
        files a_missing_companion_is_named
            a companion that is missing, or not the one trained with
        hostile companions_must_fit_the_file_that_names_them
            a companion whose latents or text do not fit the file that names it
        hostile a_name_in_another_file_never_reaches_the_terminal_raw
            names and texts with terminal commands or line breaks
        files numbers_that_would_not_load_again_are_not_written
            a tensor that is not finite, when saving
    """,
    "LoRAs": r"""
        loras other_files_are_named
            missing, a folder, a text, a model
        loras wrong_loras_are_refused_in_one_line
            of a model of another layout, for a text encoder, with an unknown layer, of other shapes
        loras wrong_loras_are_refused_in_one_line
            half a layer, another kind than a plain LoRA, whole numbers, an alpha that is no number, NaN
        loras wrong_loras_are_refused_in_one_line
            a description that is no JSON
        loras numbers_that_float16_does_not_have_are_not_written
            a number beyond float16, when saving
        loras inspect_tells_a_lora_from_a_model
            a LoRA given as a model
        lora what_cannot_be_is_refused_before_anything_is_loaded
            a strength that is no number between -10 and 10
        lora what_cannot_be_is_refused_before_anything_is_loaded
            a LoRA without `--model`
        lora what_cannot_be_is_refused_before_anything_is_loaded
            an output that is also the LoRA
    """,
    "Cameras, regions, plans, plates": r"""
        camera numbers_that_cannot_be
            a dial that is NaN, infinite or out of its bounds; zoom 0, a field of view of 180, a million planes
        camera regions_that_cannot_be
            a region's unknown key, one given twice, a value that is no number or NaN, no `KEY=VALUE`
        camera regions_that_cannot_be
            a mask that is missing, no picture, of another size, or empty
        camera a_plan_with_its_masks_in_order_and_options_before_it
            a mask alone and no plan that needs it, or a plan's region without one
        camera a_name_with_a_colon_is_a_name
            a colon in a mask's name, `C:\mask.png` too
        camera plans_that_cannot_be
            a plan that is no JSON, no plan, of another version, too long, or brackets in brackets
        camera plans_that_cannot_be
            a plan with an unknown key, a file path, NaN, a number out of its bounds
        camera plans_that_cannot_be
            a plan with a hundred thousand regions
        camera the_camera_runs_into_nothing
            a camera that would run into the picture or a region
        camera a_region_that_leaves_the_frame_is_a_note
            a region that leaves the frame
        camera depth_pictures_that_cannot_be
            a depth picture of one grey, of another shape, with a million planes
        camera plates_that_do_not_fit
            plates that are missing, of another size or number, or no pictures
        camera plates_go_into_a_folder_of_their_own
            a folder for plates with other files, or with plates that were changed or not made here
        fill what_cannot_fill_is_refused
            a fill model that is missing or none, or one beside filled plates or a video model
        camera what_is_read_is_not_replaced
            an output that is also read: picture, mask, depth, plan, plates
        camera what_means_something_to_a_model_alone
            an option that only a model has
        camera ctrl_c_leaves_nothing
            Ctrl-C while frames are made
        camera what_a_frame_raises_is_said_and_nothing_is_left
            the memory is full
    """,
    "Layers": r"""
        layers layers_that_cannot_be
            a layer of an unknown kind, an unknown key, one given twice, a value that is no number
        layers layers_that_cannot_be
            an amount that is negative, NaN, infinite or enormous
        layers layers_that_cannot_be
            a direction or a colour that is none, half of a point
        layers layers_that_cannot_be
            a layer's mask that is missing, no picture, of another size, or empty
        layers layers_that_cannot_be
            a kind that needs a mask and has none, a mask for a layer that the plan does not have
        layers a_place_that_is_not_there_names_the_ways_out
            a layer whose place is not in the picture
        teach a_layer_and_its_file_go_together
            a taught layer without its file, a file for another kind, one that is missing or holds something else
        layers plans_with_layers_that_cannot_be
            a plan with an unknown kind, a negative amount, a file path, 33 layers, or a megabyte of them
        layers folders_of_masks_that_cannot_be
            a folder of masks with other files, with none, or with masks of another size
        layers as_many_particles_as_can_be_asked_for
            ten times as many particles, a tenth as large
        layers odd_pictures_are_drawn_into
            a picture of one pixel, or of three by seven hundred
        layers the_largest_picture_is_drawn_into
            a picture of 8192x8192
    """,
    "Clips to teach from": r"""
        teach folders_that_cannot_be
            no folder, one without videos, or with more than 64
        teach a_clip_that_cannot_be_used_is_left_out_in_one_line
            a clip that is damaged, too short or too slow, without motion, or whose motion flows on
        teach clips_of_several_sizes_and_a_camera_that_moves
            clips of several sizes and rates, a clip from a moving camera
        teach masks_that_cannot_be
            a mask that is no picture, of another shape, or black
        teach places_that_cannot_be_written
            a file that would replace a clip, a picture among the clips, or a name that does not end in .json
    """,
    "Painting": r"""
        painting what_cannot_be_painted_is_said_with_what_can
            a prompt with nothing that Pocket can paint
        painting what_does_not_go_together
            a clip of more than four seconds, or one that loops
        painting what_does_not_go_together
            options of a model that makes the scene itself move, a preview, no prompt, no network
        painting what_does_not_go_together
            a mask that is missing, or for nothing that is painted
        painting what_does_not_go_together
            a place that is not in the picture
        painting a_model_that_does_not_paint
            a model that was not taught to paint, a file of another kind
        painting odd_pictures_are_painted_on
            a picture of one pixel, or of three by seven hundred
    """,
    "Sizes": r"""
        outputs a_clip_too_large_for_its_file_is_refused_at_once
            frames, or a grid, of more than 16,384 pixels a side as MP4, 65,536 as WebM, 65,535 as GIF
        limits larger_ones_are_refused
            more than about 715 million pixels
    """,
    "Output": r"""
        commands missing_folders_are_made
            the folder is missing
        commands a_read_only_folder_of_somebody_elses
            the folder is read-only, or a file is where a folder should be
        commands a_place_that_nobody_can_write_to
            a place whose permissions promise what it does not keep (`/proc`)
        commands a_file_that_is_replaced_stays_until_the_new_one_is_whole
            a name that exists
        outputs the_shell_s_working_folder_stays_the_same_folder
            a folder of frames that exists, the shell's own (`--out .`) too
        outputs a_stranger_s_frames_are_not_replaced
            a folder with pictures named like frames that were not made here
        outputs links_are_followed
            a link to a file or folder
        outputs links_that_lead_round_are_refused
            links that lead round, a pipe in the place of the file
        outputs models_are_not_written_over
            an output that is also read, or a part of what is read: picture, model, LoRA, tokenizer, file to train from
        outputs one_file_is_not_written_over_another
            two outputs of one name
        outputs the_made_keyframe_replaces_only_that_of_the_clip_replaced
            NAME-keyframe.png is there, of another clip or a stranger's
        outputs what_can_be_known_is_checked_before_a_keyframe_is_made
            anything that is wrong with files or places while a keyframe is to be made
        outputs a_name_that_the_terminal_cannot_print
            a name that the terminal cannot print
        commands interrupting_while_frames_are_made
            Ctrl-C while frames are made
        commands interrupting_while_frames_are_written
            Ctrl-C while the file is written
        commands killed_at_any_time_nothing_under_the_asked_name_is_not_whole
            SIGKILL at any time
        outputs a_full_disk_is_one_line
            the disk is full
    """,
    "Unfinished work": r"""
        work two_hundred_damages_are_found_and_mended
            a flipped bit, a cut, bytes put in or taken out, anywhere
        work latents_of_another_shape_are_made_again
            latents of another shape or another request
        work only_what_was_written_here_is_ever_removed
            other files in the folder: `request.json`, a `.git`, pictures
        work a_file_where_the_folder_would_be_is_refused
            a file where the folder would be
        work two_runs_on_one_name
            a second run on the same name
        work one_run_at_a_time
            a run that was killed
        work a_full_disk_is_one_line
            the disk is full
    """,
    "A folder of a training run": r"""
        state no_file_of_a_training_folder_runs_code
            a pickle in the place of any file, or beside them under any name
        state a_damaged_checkpoint_is_set_aside_and_an_older_one_serves
            a damaged checkpoint: flipped bits, cut, a file missing, of another model
        state where_none_can_be_read_nothing_is_changed
            all checkpoints damaged
        state a_checkpoint_of_an_older_version_is_refused
            a checkpoint of an earlier version of this program, which held pickles
        state damaged_latents_are_made_once_more
            damaged latents
        state a_full_disk_while_a_checkpoint_is_kept
            the disk is full while a checkpoint is written
        state one_run_at_a_time
            a second run in the same folder
        state what_training_reads_is_not_written_over
            the exported file would replace what training starts from
    """,
}


def named(section: str) -> dict[str, tuple[str, str]]:
    """The line: the file and name of its test."""
    found = {}
    rows = list(filter(None, map(str.strip, LINES[section].splitlines())))
    for test, line in zip(rows[::2], rows[1::2], strict=True):
        file, _, name = test.partition(" ")
        found[line] = (FILES[file], f"test_{name}")
    return found


def test_the_page_has_these_sections() -> None:
    sections = [line.removeprefix("## ") for line in PAGE.splitlines() if line.startswith("## ")]
    assert sorted(sections) == sorted([*ELSEWHERE, *LINES])
    for section, path in ELSEWHERE.items():
        assert section in (TESTS / path).read_text(encoding="utf-8"), f"{path} does not read its table"


@pytest.mark.parametrize("section", LINES)
def test_each_line_has_its_test(section: str) -> None:
    lines = named(section)
    assert hostile.rows(PAGE, section) == sorted(lines)
    for path, name in lines.values():
        tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, name
