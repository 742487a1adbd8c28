"""From a picture and a sentence to a clip, or to a whole shot: the standalone job.

Wiring only: files become modules (bundle), pictures become latents (autoencoders), noise becomes clips (sampling),
clips become shots (`shot`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ..checkpoint.addition import Addition
from ..checkpoint.embedded import sibling
from ..config import Kind
from ..diffusion.noise import gamma_for
from ..diffusion.samplers import Callback
from ..diffusion.schedule import make_schedule
from ..errors import CheckpointError
from ..media import Frames, place, save_clip, to_picture, to_pixels
from ..models.guide import Guide, together
from ..motion.scene import Motion
from ..shot.cascade import cascade
from ..shot.extend import chain
from ..shot.hold import appearance_at
from ..shot.plan import SHOT, Loop, ShotConfig, ShotPlan, plan_shot
from ..shot.resize import working_size
from ..shot.retime import ping_pong, resample
from ..shot.settings import (
    SAMPLING,
    SEGMENTS,
    TSR_BATCH,
    TSR_SAMPLING,
    Compile,
    SamplingConfig,
    check_seed,
    segments_at_once,
)
from ..shot.timing import frame_times
from .bundle import Bundle, aligned, listed, seeds_of
from .compiling import check_compile, compiled
from .guiding import check_led, digest, guide_of
from .keyframe import ImagePipeline as ImagePipeline
from .keyframe import Pictures as Pictures
from .precision import default_device
from .progress import Work
from .sampling import Conditioning, NoiseStream, Text, check_sampler, sample_latents
from .tsr import TemporalSuperResolution
from .workspace import Workspace, remembered, remembering


@dataclass(frozen=True, slots=True)
class Clips:
    """frames: uint8 RGB [B, T, H, W, 3]. settings: for each clip, all that made it."""

    frames: Frames
    fps: float
    settings: list[dict[str, Any]]

    def save(self, out: str | Path, index: int = 0) -> None:
        """Write one clip, as what the name's ending says; see `media.Target`."""
        save_clip(out, self.frames[index], self.fps, self.settings[index])


@dataclass(frozen=True, slots=True)
class Shot:
    """A shot that is made while its frames are read, a few at a time. settings: all that makes it."""

    plan: ShotPlan
    size: tuple[int, int]  # width, height
    settings: dict[str, Any]
    make: Callable[[], Iterator[Frames]]
    workspace: Workspace | None = None

    @property
    def fps(self) -> float:
        return float(self.plan.fps)

    def __len__(self) -> int:
        """The number of frames, known beforehand."""
        return self.plan.frames

    def __iter__(self) -> Iterator[Frames]:
        """uint8 RGB [H, W, 3], one after the other. Raises InputError where another run is at the same work."""
        with nullcontext() if self.workspace is None else self.workspace.in_use():
            yield from self.make()

    def save(self, out: str | Path) -> None:
        """Make it and write it, as what the name's ending says; see `media.Target`."""
        save_clip(out, iter(self), self.fps, self.settings)
        self.clean()

    def clean(self) -> None:
        """Remove the work in progress, once the frames are safe."""
        if self.workspace is not None:
            self.workspace.remove()


@dataclass(frozen=True, slots=True)
class Job:
    """What all clips of one call share."""

    plan: ShotPlan
    sampling: SamplingConfig
    text: Text
    size: tuple[int, int]  # latents: height, width
    motion: Motion | None


class MicroCinemaPipeline:
    """A keyframe and a prompt -> a clip around that keyframe, and shots made of such clips."""

    def __init__(
        self, bundle: Bundle, tsr: TemporalSuperResolution | None = None, compile: Compile = Compile.NONE
    ) -> None:
        if bundle.networks.appearnet is None:
            raise CheckpointError(f"{bundle.name}: has no AppearNet; a video model is needed here")
        self.bundle, self.appearnet, self.tsr = bundle, bundle.networks.appearnet, tsr
        self.unet = compiled(bundle.networks.unet, compile, bundle.name)

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        *,
        tsr: str | Path | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        attention: str = "sdpa",
        compile: Compile = Compile.NONE,
        loras: Sequence[str | Path | Addition] = (),
    ) -> Self:
        """Load a video model's file, and its companions beside it. Raises CheckpointError for any other file.

        tsr: the temporal super-resolution model's file; None takes NAME-tsr.safetensors beside NAME-video.safetensors
        where there is one. device: None takes a GPU where there is one. dtype: of the networks; None as Precision.AUTO.
        attention: sdpa or xformers. compile: the U-Nets, at their first step of each size. Raises InputError where that
        cannot be done. loras: FILE or FILE:STRENGTH, or `Addition`s; the TSR model stays as it is.
        """
        device = torch.device(device) if device else default_device()
        check_compile(compile, device)
        additions = [one if isinstance(one, Addition) else Addition.parse(str(one)) for one in loras]
        bundle = Bundle.load(Path(path), Kind.VIDEO, device, dtype, attention, additions)
        file = sibling(Path(path), Kind.TSR) if tsr is None else Path(tsr)
        loaded = None if file is None else TemporalSuperResolution.load(file, bundle, attention, compile)
        return cls(bundle, loaded, compile)

    @torch.no_grad()
    def __call__(
        self,
        image: Any,
        prompt: str | Sequence[str],
        shot: ShotConfig = SHOT,
        *,
        sampling: SamplingConfig = SAMPLING,
        seed: int | Sequence[int] = 0,
        motion: Motion | None = None,
        callback: Callback | None = None,
    ) -> Clips:
        """One clip at the model's own rate, or several at once where lists are given: of equal length, or single.

        image: PIL, uint8 [H, W, 3] or float tensor [3, H, W] in 0..1, of any size. shot: the controls of a clip; those
        of more than a clip are for `shoot`. motion: what camera and regions do, from which every frame gets a guide.
        callback: (steps done, steps in all, estimate of z_0 [B, C, T, h, w]); may raise Cancelled.
        A clip depends on its own seed, not on those made with it. Raises InputError for unusable values.
        """
        shot = shot.of_one_clip()
        every = aligned({"image": listed(image), "prompt": listed(prompt), "seed": seeds_of(seed)})
        seeds = every["seed"]
        pictures = [to_picture(one) for one in listed(image)]  # one that serves all is encoded once
        job, (wide, high) = self._job(pictures[0].size, every["prompt"], shot, sampling, motion)
        guides = [self._guide(job, picture, place(picture, wide, high, shot.resize)) for picture in pictures]
        noise = [NoiseStream(value) for value in seeds]
        latents = self._clip(job, together(guides), job.plan.clip_key, noise, callback)
        settings = [
            self._settings(job, p, s, (wide, high)) | {"frames": job.plan.frames, "fps": job.plan.clip_fps}
            for p, s in zip(every["prompt"], seeds, strict=True)
        ]
        return Clips(self.bundle.decode(latents), job.plan.clip_fps, settings)

    @torch.no_grad()
    def around(
        self,
        guide: Guide,
        prompts: Sequence[str],
        *,
        sampling: SamplingConfig = SAMPLING,
        seed: int = 0,
        callback: Callback | None = None,
    ) -> Tensor:
        """Latents [B, C, T, h, w] of one clip for each prompt, all around one guide [1, C, T, h, w] and of one seed.

        The keyframe's time is the model's own, whichever frame the guide shows it in. callback: as in `__call__`.
        Raises InputError for unusable values.
        """
        check_sampler(sampling.sampler)
        plan = plan_shot(SHOT.of_one_clip(), self.bundle.config.clip, None)
        height, width = guide.latents.shape[-2:]
        job = Job(plan, sampling, self.bundle.prompts(prompts), (height, width), None)
        return self._clip(job, guide, plan.clip_key, [NoiseStream(check_seed(seed))] * len(prompts), callback)

    def shoot(
        self,
        image: Any,
        prompt: str,
        shot: ShotConfig = SHOT,
        *,
        sampling: SamplingConfig = SAMPLING,
        tsr_sampling: SamplingConfig = TSR_SAMPLING,
        seed: int = 0,
        motion: Motion | None = None,
        tsr_batch: int = TSR_BATCH,
        workspace: str | Path | None = None,
        callback: Callback | None = None,
    ) -> Shot:
        """A shot, made while it is read: chained clips, temporal super-resolution, loop, rate and duration.

        tsr_sampling: of its passes, tsr_batch segments at once, fewer of large frames. workspace: a folder that keeps
        what is done, for a later call with the same arguments to go on from; `save` and `clean` remove it.
        callback: (units of work done, all, latest estimate of z_0); may raise Cancelled. image, motion: as in
        `__call__`; a motion leads a single clip, so nothing is chained or joined then.
        Raises InputError for unusable values before anything is computed.
        """
        check_sampler(tsr_sampling.sampler)
        SEGMENTS.check("tsr_batch", tsr_batch)
        seed = check_seed(seed)
        picture = to_picture(image)
        job, (width, height) = self._job(picture.size, [prompt], shot, sampling, motion)
        settings = self._settings(job, prompt, seed, (width, height)) | {
            "frames": job.plan.frames,
            "fps": float(job.plan.fps),
        }
        if self.tsr is not None and job.plan.passes:
            settings |= {"tsr_model": self.tsr.name, "tsr_steps": tsr_sampling.steps}
        frame = place(picture, width, height, shot.resize)
        kept = None
        if workspace is not None:
            weights = [self.bundle.identity, self.tsr.identity if self.tsr is not None else ""]
            request = {
                "shot": asdict(job.plan.shot),
                "tsr": asdict(tsr_sampling),
                "keyframe": _digest(frame),
                "weights": weights,
            }
            if motion is not None:
                request |= {"motion": digest(motion), "picture": _digest(np.asarray(picture))}
            kept = Workspace(workspace, settings | request)
        guide = cache(partial(self._guide, job, picture, frame))
        if motion is not None:
            guide()  # at once: the camera may run into something
        make = partial(self._frames, job, guide, seed, tsr_sampling, tsr_batch, kept, callback)
        return Shot(job.plan, (width, height), settings, make, kept)

    def _job(
        self,
        picture_size: tuple[int, int],
        prompts: list[str],
        shot: ShotConfig,
        sampling: SamplingConfig,
        motion: Motion | None,
    ) -> tuple[Job, tuple[int, int]]:
        """What the arguments amount to, and the working width and height."""
        check_sampler(sampling.sampler)
        clip = self.bundle.config.clip
        plan = plan_shot(shot, clip, None if self.tsr is None else self.tsr.segments)
        if motion is not None:
            check_led(plan)
        model_size = (clip.width, clip.height)
        width, height = working_size(picture_size, model_size, shot.resize, shot.width, shot.height)
        text, downscale = self.bundle.prompts(prompts), self.bundle.codec.downscale
        return Job(plan, sampling, text, (height // downscale, width // downscale), motion), (width, height)

    def _guide(self, job: Job, picture: Any, keyframe: Frames) -> Guide:
        """What is known of the clip around a keyframe, which is the picture resized: [1, C, T or 1, h, w]."""
        pixels = to_pixels([keyframe])
        if job.motion is None:
            return Guide(self._encode(pixels).unsqueeze(2))
        height, width = keyframe.shape[:2]
        return guide_of(picture, pixels, job.motion, job.plan, (width, height), self._encode)

    def _encode(self, pixels: Tensor) -> Tensor:
        """Pixels [N, 3, H, W] in 0..1 -> latents [N, C, h, w]."""
        return self.bundle.codec.encode(pixels.to(self.bundle.device))

    @torch.no_grad()
    def _clip(
        self, job: Job, guide: Guide, key: int, noise: list[NoiseStream], callback: Callback | None = None
    ) -> Tensor:
        """Latents [B, C, T, h, w] of clips around their guides [B, C, T or 1, h, w]; AppearNet runs here, once."""
        plan, shot = job.plan, job.plan.shot
        appearance = appearance_at(shot.strength, lambda: self.appearnet(guide.to(dtype=self.bundle.dtype)))
        times = [shot.motion * t for t in frame_times(plan.clip_frames, plan.clip_fps, key)]
        seconds = torch.tensor(times, device=self.bundle.device)
        shared = key if shot.share_attention else None
        given = Conditioning(job.text, guide, appearance, seconds, shared)
        return sample_latents(
            self.unet,
            self.bundle.config.diffusion,
            given,
            noise,
            (plan.clip_frames, *job.size),
            job.sampling,
            callback,
            held=key if shot.exact_keyframe else None,
        )

    def _frames(
        self,
        job: Job,
        guide: Callable[[], Guide],
        seed: int,
        fast: SamplingConfig,
        batch: int,
        kept: Workspace | None,
        callback: Callback | None,
    ) -> Iterator[Frames]:
        """The output, frame by frame."""
        plan = job.plan
        work = Work(callback, plan.clips * job.sampling.steps + plan.segments)
        first = guide()

        def make(key_latent: Tensor, key: int, number: int) -> Tensor:
            def sample() -> Tensor:
                noise = [NoiseStream.clip(seed, number)]
                own = first if number == 0 else Guide(key_latent[None, :, None])
                return self._clip(job, own, key, noise, work.step)[0]

            made = remembered(f"clip{number:+05d}", sample, kept).to(key_latent)
            work.finish(job.sampling.steps, made[None])
            return made

        base = chain(
            first.frame(plan.clip_key)[0, :, 0], plan.clip_key, plan.clip_frames, make, plan.before, plan.after
        )
        if plan.shot.loop is Loop.JOIN:
            base = base[plan.cut[0] : len(base) - plan.cut[1]]
            base.append(base[0])
        stream = iter(base)
        if self.tsr is not None and plan.passes:
            at_once = min(segments_at_once(batch, *job.size), plan.most_segments)
            segments = self.tsr.interpolate(job.text, seed, plan.clip_fps, fast, work.inner_step, at_once)
            counted = work.counting(remembering(segments, kept))
            stream = cascade(base, counted, plan.passes, at_once)
        frames = self._decoded(stream, plan.made_frames, job.size)
        if plan.retiming is not None:
            frames = resample(frames, plan.retiming, plan.shot.resampling)
        yield from ping_pong(frames) if plan.shot.loop is Loop.PING_PONG else frames

    def _decoded(self, latents: Iterator[Tensor], count: int, size: tuple[int, int]) -> Iterator[Frames]:
        """The first `count` of these latents [C, h, w] as pictures, a few at a time. size: h, w."""
        waiting: list[Tensor] = []
        at_once = self.bundle.codec.at_once(*size, self.bundle.device)
        for done, latent in enumerate(latents, start=1):
            if done > count:
                continue  # a joined loop's last frame is its first again
            waiting.append(latent)
            if len(waiting) == at_once or done == count:
                yield from self.bundle.decode(torch.stack(waiting, dim=1)[None])[0]
                waiting = []

    def _settings(self, job: Job, prompt: str, seed: int, size: tuple[int, int]) -> dict[str, Any]:
        plan, diffusion = job.plan, self.bundle.config.diffusion
        gamma = gamma_for(job.sampling.gamma, diffusion, make_schedule(diffusion.schedule).signal)
        given = self.bundle.settings(replace(job.sampling, gamma=gamma), [prompt], [seed])[0]
        own = {"keyframe_at": plan.clip_key, "width": size[0], "height": size[1]}
        led = {} if job.motion is None else {"plan": json.loads(job.motion.plan.to_json())}
        return {**given, **plan.shot.changed(), **own, **led}


def _digest(frame: Frames) -> str:
    return hashlib.sha256(frame.tobytes()).hexdigest()
