"""In which floating-point format networks run: what a person asks for, and what the device is good at."""

from __future__ import annotations

import time

import torch

from ..errors import InputError
from ..shot.settings import Precision

# Every precision but AUTO, which depends on the device: `dtype_for`.
DTYPES = {Precision.FP32: torch.float32, Precision.FP16: torch.float16, Precision.BF16: torch.bfloat16}


def default_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def dtype_for(precision: Precision, device: torch.device) -> torch.dtype:
    """The format that a precision stands for on a device.

    Raises InputError for float16 on a CPU, and for bfloat16 on a processor that only emulates it.
    """
    if precision is Precision.AUTO:
        return torch.float32 if device.type == "cpu" else torch.float16
    if device.type == "cpu" and precision is Precision.FP16:
        raise InputError("float16 is slower than float32 on a CPU; use bf16 or fp32")
    if precision is Precision.BF16 and not bfloat16_pays(device):
        raise InputError("this processor has no bfloat16 and would be slower with it; use fp32")
    return DTYPES[precision]


def bfloat16_pays(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 here: processors without it emulate it, up to a hundred times slower."""
    if device.type != "cpu":
        return True

    def seconds(dtype: torch.dtype) -> float:
        x, w = torch.randn(4, 32, 24, 24, dtype=dtype), torch.randn(32, 32, 3, 3, dtype=dtype)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            torch.conv2d(x, w, padding=1)
            times.append(time.perf_counter() - start)
        return sorted(times)[2]

    seconds(torch.float32)
    return seconds(torch.bfloat16) < seconds(torch.float32)
