"""`make bench` with networks of a few thousand parameters: its instruments, what it keeps, and what it writes."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import UNetSpatioTemporalConditionModel
from torch.nn import functional as F

from microcinema_core.config import SD21_BASE
from microcinema_core.models.unet import VideoUNet
from studies.gpu_check.sizes import TINY, TINY_AUTOENCODER
from studies.journal import Journal
from studies.speed import __main__ as command
from studies.speed import contest as contest_module
from studies.speed import ours, whole
from studies.speed.contest import CONTROL, OURS, RIVAL, Contest, OutOfTime
from studies.speed.gauge import count_flops, peak_bytes
from studies.speed.given import Given, Place, random_network
from studies.speed.page import page
from studies.speed.plan import FRAMES, PIXELS, PLAIN, SEGMENT, WHOLE, Compiled, Measurement, What, full, quick
from studies.speed.rivals import CONTROLNET, RIVALS
from studies.speed.summary import row, spread

CPU, META = (Place(torch.device(name), torch.float32) for name in ("cpu", "meta"))


def contest(folder: Path, **options: object) -> Contest:
    return Contest(TINY, CPU, folder, autoencoder=TINY_AUTOENCODER, **options)


def small(what: What, rival: str, rounds: int = 2) -> Measurement:
    return Measurement(what, rival, rounds, frames=SEGMENT, pixels=64)


def test_peak_is_what_was_held_at_once() -> None:
    megabyte = torch.zeros(2**18)

    def work() -> None:
        kept = megabyte + 1
        for _ in range(3):
            kept = kept + 1  # old and new at once, then the old is given back

    assert 0 <= peak_bytes(work, CPU) - 2 * 2**20 < 1024  # the ones that are added count too


def test_flops_are_two_for_each_multiply_add() -> None:
    x, kernel = CPU.random(3, 4, 8, 8), CPU.random(5, 4, 3, 3)
    assert count_flops(lambda: F.conv2d(x, kernel, padding=1)) == 2 * 3 * 64 * 5 * 4 * 9


@pytest.mark.parametrize("name", RIVALS)
def test_rivals_answer_in_the_shape_of_the_latents_and_no_layer_is_idle(name: str) -> None:
    rival = RIVALS[name]
    torch.manual_seed(0)
    network, given = random_network(lambda: rival.network(TINY), CPU), Given.of(TINY, CPU, 3, 64)
    assert all(parameter.any() for parameter in network.parameters())
    with torch.no_grad():
        out = rival.forward(network, given)
        again = rival.forward(network, replace(given, x=given.x.flip(2)))
    assert out.shape == given.x.shape
    assert out.isfinite().all()
    assert not torch.equal(out, again)


def test_rivals_have_the_size_of_their_published_weights() -> None:
    """In millions of parameters. The motion modules are AnimateDiff's 453, on SD 2.1's 866."""
    made = {name: random_network(lambda r=r: r.network(SD21_BASE.unet), META) for name, r in RIVALS.items()}
    made["controlnet"] = random_network(lambda: CONTROLNET.network(SD21_BASE.unet), META)
    sizes = {name: sum(p.numel() for p in network.parameters()) / 1e6 for name, network in made.items()}
    assert {name: round(size) for name, size in sizes.items()} == {
        "unet3d": 1411, "i2vgen": 1420, "svd": 1525, "motion": 1319, "control": 866 + 364, "controlnet": 364,
    }  # fmt: skip


def test_the_plan_varies_frames_and_pixels_one_at_a_time_beside_everyone() -> None:
    plan = full(card=False)
    steps = [m for m in plan if m.what is What.STEP]
    for rival in RIVALS:
        sizes = {(m.frames, m.pixels) for m in steps if m.rival == rival}
        assert sizes == {(frames, PIXELS[0]) for frames in FRAMES} | {(FRAMES[0], pixels) for pixels in PIXELS}
        assert {What.LOOP, What.TSR} <= {m.what for m in plan if m.rival == rival}
    names = [m.name for m in plan]
    assert len(names) == len(set(names))
    assert {m.name for m in quick()} <= set(names)
    clips = {(m.rival, m.pixels) for m in full(card=True) if m.what is What.CLIP}
    assert clips == {(rival, pixels) for rival in RIVALS for pixels in (320, 512)}


@pytest.mark.parametrize(
    ("what", "rival", "who"),
    [
        (What.STEP, "unet3d", {OURS, RIVAL, CONTROL}),
        (What.STEP, PLAIN, {OURS, RIVAL}),
        (What.LOOP, "svd", {OURS, RIVAL}),
        (What.TSR, "control", {OURS, RIVAL}),
        (What.DECODE, WHOLE, {OURS, RIVAL}),
    ],
)
def test_every_job_is_timed_on_both_sides(tmp_path: Path, what: What, rival: str, who: set[str]) -> None:
    one = small(what, rival, rounds=1)
    (record,) = contest(tmp_path).measure(one)
    assert set(record["seconds"]) == who
    assert all(0 < seconds < 60 for seconds in record["seconds"].values())
    assert record["convolutions"] > 1e6


def test_injection_and_a_controlnet_are_in_the_counted_operations(tmp_path: Path) -> None:
    made = contest(tmp_path)
    ours, without = (made.flops(small(What.STEP, PLAIN))[who] for who in (OURS, RIVAL))
    channels = (32, 32, 64, 64, 64, 64, 64, 32, 32)  # of the levels: down, middle, up
    gates = 2 * 4 * 32 * sum(channels) * SEGMENT
    assert ours - without == gates
    assert made.flops(small(What.STEP, "unet3d"))[CONTROL] > 0


def test_what_is_done_is_kept_and_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = small(What.STEP, PLAIN)
    made = contest(tmp_path)
    done = made.measure(one)
    assert [made.journal(one.name).records[i] for i in range(2)] == done
    weights = sum(p.nbytes for p in made.ours.unet.parameters())
    assert 0 < made.peaks(one)[RIVAL] < weights  # networks are made before the record begins
    monkeypatch.setattr(Contest, "contestants", lambda *_: pytest.fail("built again"))
    again = contest(tmp_path, deadline=0.0)
    assert again.measure(one) == done
    assert again.peaks(one)[OURS] > again.peaks(one)[RIVAL] > 0


def test_a_run_stops_at_its_deadline_and_goes_on_later(tmp_path: Path) -> None:
    one = small(What.STEP, PLAIN)
    with pytest.raises(OutOfTime):
        contest(tmp_path, deadline=0.0).measure(one)
    assert not contest(tmp_path).journal(one.name).records
    assert len(contest(tmp_path).measure(one)) == 2


def test_times_of_other_work_or_another_machine_are_not_taken_up() -> None:
    keys = {
        command.key(config, place)
        for config in (TINY, SD21_BASE.unet)
        for place in (CPU, Place(torch.device("cpu"), torch.bfloat16))
    }
    assert len(keys) == 4
    assert command.key(TINY, CPU) in keys


def test_ratios_are_of_neighbours_in_time() -> None:
    """A machine that slows down for one turn changes no ratio of it."""
    times = [(2.0, 4.0, 1.0), (20.0, 40.0, 10.0), (3.0, 4.0, 1.0)]
    records = [
        {"seconds": {OURS: o, RIVAL: r, CONTROL: c}, "convolutions": 1e9, "neighbours": n}
        for (o, r, c), n in zip(times, (0.1, 0.9, None), strict=True)
    ]
    made = row(small(What.STEP, "unet3d"), records, {OURS: 60, RIVAL: 80}, {OURS: 2 * 10**9})
    assert made["ratio"] == {"median": 0.5, "lowest": 0.5, "highest": 0.75}
    assert made["ratio_with_controlnet"]["median"] == pytest.approx(0.4)
    assert made["seconds"][OURS] == spread([2.0, 20.0, 3.0]) == {"median": 3.0, "lowest": 2.0, "highest": 20.0}
    assert made["peak_ratio"] == 0.75
    assert math.isclose(made["of_convolution_rate"][OURS], 2 / 3)  # 2 GFLOP in 3 s where a convolution does 1 in 1 s
    assert made["neighbours"] == 0.9


@pytest.mark.slow
def test_the_page_has_the_machine_every_table_and_a_picture(tmp_path: Path) -> None:
    plan = [small(What.STEP, "unet3d", 1), small(What.STEP, "svd", 1), small(What.LOOP, "svd", 1)]
    made = contest(tmp_path / "work")
    for one in plan[:2]:
        made.measure(one)
    written = command.write(made, plan, tmp_path / "out")
    data = json.loads((tmp_path / "out" / "cpu.json").read_text(encoding="utf-8"))
    assert [r["rival"] for r in data["measurements"]] == ["unet3d", "svd"]  # the loop was not measured
    assert data["machine"]["device"].endswith(torch.backends.cpu.get_cpu_capability()[-3:])
    assert data["rivals"]["unet3d"]["attention_head_dim"] == TINY.temporal_head_dim
    assert (tmp_path / "out" / "cpu.png").read_bytes().startswith(b"\x89PNG")
    text = written.read_text(encoding="utf-8")
    assert f"## {data['machine']['device']}" in text
    assert "UNetSpatioTemporalConditionModel | 5 of 64x64" in text
    assert max(map(len, text.splitlines())) < 400


def test_the_page_says_injections_share_and_takes_every_machine() -> None:
    times = [{"seconds": {OURS: 1.25, RIVAL: 1.0}, "convolutions": 1e9, "neighbours": None}]
    one = Measurement(What.STEP, PLAIN, 1)
    made = row(one, times, {OURS: 1, RIVAL: 1}, {OURS: 1, RIVAL: 1})
    machine = {"dtype": "float16", "torch": "2", "diffusers": "0"}
    documents = {
        name: {"machine": {"device": name.upper(), **machine}, "measurements": [made]} for name in ("cpu", "gpu")
    }
    text = page(documents)
    assert text.count("takes 20.0 % of a step") == 2
    assert text.index("## CPU") < text.index("## GPU")
    assert "None was measured" not in text
    assert "None was measured" in page({"cpu": documents["cpu"]})


def test_the_command_with_a_limit_of_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--device", "cpu", "--minutes", "1e-9", "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    command.main([*options, "--quick"], TINY)
    said = capsys.readouterr().out
    assert "goes on from here" in said
    assert json.loads((tmp_path / "out" / "cpu.json").read_text(encoding="utf-8"))["measurements"] == []


def test_turns_during_which_others_were_busy_are_taken_again(tmp_path: Path) -> None:
    """Peaks, which no neighbour changes, stay; and what a kill tore is none of either."""
    turns = {0: {"neighbours": 0.01}, 1: {"neighbours": 0.4}, 2: {"neighbours": None}, 3: {"bytes": 7}}
    text = "".join(json.dumps({"case": case, "record": record}) + "\n" for case, record in turns.items())
    (tmp_path / "step.jsonl").write_text(text + '{"case": 4, "rec')
    assert command.forget_disturbed(tmp_path) == 1
    assert set(Journal(tmp_path / "step.jsonl").records) == {0, 2, 3}
    assert command.forget_disturbed(tmp_path) == 0


@pytest.mark.slow
def test_compiled_networks_take_turns_with_guidance_and_say_what_compiling_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without compiling, which takes a minute: what is told apart is whose network goes through it."""
    asked: list[type] = []

    def compiled(network: object, backend: str) -> object:
        asked.append(type(network))
        return network

    monkeypatch.setattr(ours, "compiled", compiled)
    monkeypatch.setattr(contest_module, "compiled", compiled)
    made = contest(tmp_path)
    one = Measurement(What.STEP, "svd", 1, frames=2, pixels=64, guided=True, compiled=Compiled.OURS)
    for both in (one, replace(one, compiled=Compiled.BOTH)):
        (record,) = made.measure(both)
        assert set(record["seconds"]) == {OURS, RIVAL}
    assert asked == [VideoUNet, UNetSpatioTemporalConditionModel]
    assert set(made.compile_seconds(one)) == {OURS}
    assert set(made.compile_seconds(both)) == {OURS, RIVAL}
    made_row = row(both, [record], {}, {}, made.compile_seconds(both))
    text = page(
        {"gpu": {"machine": {"device": "G", "dtype": "d", "torch": "2", "diffusers": "0"}, "measurements": [made_row]}}
    )
    assert "a step with guidance, both compiled | 2 of 64x64" in text
    assert "The first step of ours that is compiled" in text


def test_a_shot_goes_through_both_passes_on_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "STEPS", {What.SHOT: 1, What.TSR: 1})
    one = Measurement(What.SHOT, "unet3d", 1, frames=2, pixels=64)
    works = contest(tmp_path).contestants(one)
    assert [works[who]() for who in (OURS, RIVAL)] == [17, 17]
