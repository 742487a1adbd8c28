"""What other systems and devices allow: Windows' files, devices without float64, half precision and float8."""

import ast
import errno
import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from nodes_kit import FRAMES, ROOT, Kit, load, pictures, write_small
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SHIPPED = (
    ROOT / "__init__.py",
    *sorted((ROOT / "nodes").rglob("*.py")),
    *sorted((ROOT / "microcinema_core").rglob("*.py")),
)
POSIX_MODULES = {
    "crypt", "curses", "fcntl", "grp", "nis", "ossaudiodev", "posix", "pty", "pwd", "readline", "resource", "spwd",
    "syslog", "termios", "tty",
}  # fmt: skip
# Of `os` and `signal`, what Windows lacks or what starts a shell.
POSIX_NAMES = {
    "SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "alarm", "chown", "chroot", "fork", "forkpty", "getegid",
    "geteuid", "getgid", "getloadavg", "getpgid", "getuid", "killpg", "lchown", "mkfifo", "mknod", "nice", "openpty",
    "popen", "posix_fadvise", "posix_fallocate", "sched_getaffinity", "setsid", "statvfs", "sysconf", "system", "uname",
    "wait3", "wait4",
}  # fmt: skip
RESERVED = set('<>:"|?*')


def offences(source: str) -> list[str]:
    """What of a module does not work on Windows, or depends on the system's own encoding; with line numbers."""
    found = []
    for node in ast.walk(ast.parse(source)):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
            if node.module in ("os", "signal"):
                found += [(node.lineno, alias.name) for alias in node.names if alias.name in POSIX_NAMES]
        found += [(node.lineno, name) for name in modules if name.partition(".")[0] in POSIX_MODULES]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("os", "signal"):
            found += [(node.lineno, node.attr)] if node.attr in POSIX_NAMES else []
        if isinstance(node, ast.Call):
            found += [(node.lineno, what) for what in call_offences(node)]
    return [f"{line}: {what}" for line, what in found]


def call_offences(call: ast.Call) -> Iterator[str]:
    given = {word.arg for word in call.keywords}
    if any(word.arg == "shell" and getattr(word.value, "value", True) for word in call.keywords):
        yield "shell=True"
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in ("read_text", "write_text") and "encoding" not in given and len(call.args) <= (name == "write_text"):
        yield f"{name} without encoding"
    if name == "open" and "encoding" not in given and is_text(call):
        yield "open without encoding"


def is_text(call: ast.Call) -> bool:
    """Whether `open(path, mode)` or `path.open(mode)` opens a text; `Image.open(path)` and the like do not."""
    modes = call.args[1:2] if isinstance(call.func, ast.Name) else call.args[:1]
    modes += [word.value for word in call.keywords if word.arg == "mode"]
    if not modes:
        return isinstance(call.func, ast.Name) or not call.args
    return isinstance(modes[0], ast.Constant) and "b" not in str(modes[0].value)


@pytest.mark.parametrize(
    "source",
    [
        "import fcntl", "from resource import getrusage", "def f():\n    import pwd", "import os\nos.fork()",
        "from os import mkfifo", "import signal\nsignal.SIGKILL", "run('ls', shell=True)", "os.system('ls')",
        "open(path)", "open(path, 'w')", "path.open()", "path.open('r')", "path.read_text()", "path.write_text('x')",
    ],
)  # fmt: skip
def test_what_windows_lacks_is_seen(source: str) -> None:
    assert offences(source)


def test_nothing_shipped_needs_posix_or_the_systems_encoding() -> None:
    assert len(SHIPPED) > 50
    found = {str(path.relative_to(ROOT)): offences(path.read_text(encoding="utf-8")) for path in SHIPPED}
    assert not {name: what for name, what in found.items() if what}


@pytest.fixture(scope="module")
def small(pack: ModuleType, pack_nodes: dict[str, type], tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return load(pack, pack_nodes, write_small(pack, tmp_path_factory.mktemp("mit Abstand é")))


def windows_fsync(handle: int) -> None:
    """As Windows flushes: not what was opened for reading alone. POSIX refuses to write there, even nothing."""
    os.write(handle, b"")


def test_files_are_flushed_as_windows_allows_it(small: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form = small.core("checkpoint.format")
    checkpoint = form.read_checkpoint(small.path)
    monkeypatch.setattr(os, "fsync", windows_fsync)
    with small.path.open("rb") as file, pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fsync(file.fileno())
    form.save_checkpoint_file(tmp_path / "Größe é.safetensors", checkpoint)
    assert form.read_header(tmp_path / "Größe é.safetensors") == checkpoint.header


def held(folder: Path) -> list[str]:
    """Files of a folder that this process has mapped or open, which Windows would neither remove nor replace."""
    links = [Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  they come and go
    opened = [os.readlink(link) for link in links if link.is_symlink()]  # noqa: PTH115
    mapped = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    return [line for line in (*opened, *mapped) if str(folder) in line]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_file_stays_in_use(small: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a loaded model's, nor the tokenizer's temporary ones, nor what a shot's workspace gave back."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    again = load(small.pack, small.nodes, write_small(small.pack, tmp_path))
    again.text("a star")
    workspace = small.core("standalone.workspace").Workspace(tmp_path / "work", {})
    workspace.keep("clip", torch.ones(4))
    kept = workspace.kept("clip")
    gc.collect()
    assert not held(tmp_path)
    assert torch.equal(kept, torch.ones(4))
    assert not list((tmp_path / "temporary").iterdir())


def run_all(small: Kit, tsr: Kit, keyframe: torch.Tensor) -> torch.Tensor:
    """Every node once, and the VAE; pixels [T, H, W, 3]."""
    parts = small.run("Load", file="toybox-video.safetensors")
    assert len(parts) == 4
    prompts = small.encode(keyframe, start_percent=0.1)
    noise = small.run("NoisePriorNoise", model=small.model, vae=small.vae, keyframe=keyframe, seed=7, gamma=GAMMA)[0]
    noise.generate_noise(small.prior(keyframe))
    small.ksampler(prompts, small.prior(keyframe), steps=1)
    made = small.sampler(keyframe, prompts, steps=1, exact_keyframe=True)
    given = {"latent": {"samples": made}, "frames_per_clip": FRAMES, "fps": 2.0, "passes": 1, "steps": 1, "seed": 5}
    frames, _ = tsr.run("TSRInterpolate", model=tsr.model, appearnet=tsr.appearnet, batch=8, **given)
    with torch.inference_mode():
        return small.vae.decode(frames["samples"])


GAMMA = {"gamma": "auto"}


def test_what_the_nodes_write_and_where(small: Kit, tsr: Kit) -> None:
    """The tokenizer's temporary files alone, under names that Windows allows."""
    written: set[Path] = set()
    watching = [True]

    def hook(event: str, arguments: tuple) -> None:
        if watching and event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR) and isinstance(arguments[0], str):
            written.add(Path(arguments[0]))

    sys.addaudithook(hook)
    assert run_all(small, tsr, pictures(1)).isfinite().all()
    watching.clear()  # a hook cannot be removed
    ours = {path for path in written if path.suffix != ".pyc" and path != Path(os.devnull)}
    assert {path.name for path in ours} == {"vocab.json", "merges.txt", "tokenizer_config.json"}
    assert all(path.is_relative_to(tempfile.gettempdir()) for path in ours)
    assert not any(RESERVED & set(path.name) for path in ours)


class Float64(TorchDispatchMode):
    """Which of the pack's files make float64 tensors: the innermost one that is neither torch's nor this test's."""

    def __init__(self, pack: ModuleType, device: str | None = None) -> None:
        super().__init__()
        self.folder, self.device = Path(pack.__file__).parent, device
        self.made: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        for value in tree_leaves(out):
            if isinstance(value, torch.Tensor) and value.dtype == torch.float64 and self._counts(value):
                self.made.add(self._maker())
        return out

    def _counts(self, value: torch.Tensor) -> bool:
        return self.device is None or value.device.type == self.device

    def _maker(self) -> str:
        frame: Any = sys._getframe(2)
        while frame.f_code.co_filename == __file__ or f"{os.sep}torch{os.sep}" in frame.f_code.co_filename:
            frame = frame.f_back
        path = Path(frame.f_code.co_filename)
        inside = path.is_relative_to(self.folder) and ".comfyui" not in path.parts
        return path.relative_to(self.folder).as_posix() if inside else "host"


def test_float64_is_made_for_schedules_alone(small: Kit, tsr: Kit) -> None:
    """Apple's GPUs have none. Of our code only a schedule's table has it, which is made from Python's numbers, without
    a device, so on the CPU, and cast before it meets a latent. What the host's samplers make is the host's.
    """
    with Float64(small.pack) as watch:
        assert run_all(small, tsr, pictures(1)).isfinite().all()
    assert watch.made - {"host"} == {"microcinema_core/diffusion/schedule.py"}


def on_meta(kit: Kit) -> Iterator[torch.Tensor]:
    """AppearNet's features and the MODEL's answer, with all that would be on a GPU on torch's meta device."""
    from comfy.ldm.modules.attention import attention_pytorch

    meta = torch.device("meta")
    # The host's kernel for CPUs asks how much memory the device has.
    options = {"optimized_attention_override": lambda kernel, *args, **kwargs: attention_pytorch(*args, **kwargs)}
    prompts = kit.encode(pictures(2))
    encoded = prompts[0][0][1]["microcinema"]
    appearnet, model = kit.appearnet.patcher.model.to(meta), kit.model.model.to(meta)
    for module in appearnet.modules():
        if hasattr(module, "attention"):
            module.attention.transformer_options = options
    made = appearnet(encoded.guide.to(meta))
    yield from tree_leaves([made.concat, made.add, made.spade])
    noise = torch.zeros(2 * FRAMES, 4, *encoded.size)
    conds = model.extra_conds(
        cross_attn=prompts[0][0][0], microcinema=encoded, noise=noise, device=meta, prompt_type="positive"
    )
    given = {name: cond.process_cond(batch_size=len(noise), area=None).cond for name, cond in conds.items()}
    context = given.pop("c_crossattn").to(meta)
    sigma = torch.ones(len(noise), device=meta)
    yield model._apply_model(noise.to(meta), sigma, None, context, None, {"cond_or_uncond": [0], **options}, **given)


def test_networks_need_no_float64_and_no_second_device(small: Kit) -> None:
    """torch's meta device stands for a GPU: it has no numbers, and refuses operands of the CPU beside its own."""
    kit = load(small.pack, small.nodes, small.path)
    with Float64(small.pack, "meta") as watch, torch.inference_mode():
        answers = [answer for answer in on_meta(kit) if answer is not None]
    assert len(answers) > 5
    assert {answer.device.type for answer in answers} == {"meta"}
    assert answers[-1].shape == (2 * FRAMES, 4, 4, 5)
    assert watch.made == set()


def test_the_priors_noise_where_latents_stay_on_the_gpu(small: Kit) -> None:
    """As with --gpu-only, on a device that only pretends to be one and refuses operands of another."""
    with FakeTensorMode():
        z_c, samples = torch.zeros(1, 4, 4, 5, device="mps"), torch.zeros(FRAMES, 4, 4, 5, device="mps")
        latent = {"samples": samples, "noise_mask": torch.ones(FRAMES, 1, 32, 40)}
        noise = small.ours("prior").PriorNoise(3, 0.5, z_c).generate_noise(latent)
    assert (noise.device.type, noise.shape) == ("cpu", samples.shape)


def test_times_are_embedded_from_float32_in_a_bfloat16_model(small: Kit) -> None:
    """127/32 s fits bfloat16's 8 bits, 89/30 s does not: as bfloat16 it would be another time."""
    frames, fps = 97, 30.0
    kit = load(small.pack, small.nodes, small.path)
    with torch.inference_mode():
        network = kit.model.model.diffusion_model.to(torch.bfloat16)
    network.dtype = torch.bfloat16
    seen: dict[str, torch.Tensor] = {}

    def keep(module: Any, args: tuple, kwargs: dict) -> None:
        seen.update(time=args[1], seconds=kwargs["clips"].seconds, x=args[0])

    network.register_forward_pre_hook(keep, with_kwargs=True)
    network.frame_time_embedding.register_forward_pre_hook(lambda module, args: seen.update(frame_time=args[0]))
    network.time_embedding.register_forward_pre_hook(lambda module, args: seen.update(embedded=args[0]))
    keyframe = pictures(1, 16, 16)
    prompts = kit.encode(keyframe, frames=frames, fps=fps, keyframe_at={"keyframe_at": "first"})
    made = kit.ksampler(prompts, kit.prior(keyframe, frames), steps=1, cfg=1.0)
    assert made.isfinite().all()
    assert seen["x"].dtype == torch.bfloat16
    times = torch.tensor([number / fps for number in range(frames)])
    assert torch.equal(seen["seconds"], times)
    embedding = kit.core("models.embedding")
    expected = embedding.frame_time_features(times).bfloat16()
    assert torch.equal(seen["frame_time"], expected[None])
    assert not torch.equal(embedding.frame_time_features(times.bfloat16()).bfloat16(), expected)
    config = kit.appearnet.unet
    assert seen["time"].dtype == torch.float32
    time = embedding.sinusoid(seen["time"][:1] * config.timestep_scale, config.block_out_channels[0])
    assert torch.equal(seen["embedded"], time.bfloat16())


def test_attention_of_large_numbers_in_float16(small: Kit) -> None:
    """Scores of 4 * 10^6, of which the host's kernel for CPUs would make infinity in float16."""
    attend = small.ours("network").HostAttention()
    q = torch.full((1, 4, 64), 250.0, dtype=torch.float16)
    assert attend(q, q, q, 1).isfinite().all()


@pytest.mark.parametrize("option", ["fp8_e4m3fn_unet", "fp8_e5m2_unet", "bf16_unet", "fp16_unet"])
def test_weights_in_the_precision_that_the_host_was_asked_for(
    small: Kit, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--fp8_e4m3fn-unet and the like. The CPU computes in float32 from them."""
    import comfy.model_management

    monkeypatch.setattr(comfy.model_management.args, option, True)
    kit = load(small.pack, small.nodes, small.path)
    name = {"fp8_e4m3fn_unet": "float8_e4m3fn", "fp8_e5m2_unet": "float8_e5m2", "bf16_unet": "bfloat16"}
    expected = getattr(torch, name.get(option, "float16"))
    for network in (kit.model.model.diffusion_model, kit.appearnet.patcher.model):
        assert {weight.dtype for weight in network.parameters()} == {expected}
    assert kit.model.model.get_dtype_inference() == kit.appearnet.dtype == torch.float32
    keyframe = pictures(1)
    made, exact = (given.ksampler(given.encode(keyframe), given.prior(keyframe)) for given in (kit, small))
    assert made.isfinite().all()
    likeness = torch.cosine_similarity(made.flatten(), exact.flatten(), dim=0)
    print(option, f"{float(likeness):.5f}")
    assert likeness > 0.9
