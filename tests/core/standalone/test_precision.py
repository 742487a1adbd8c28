"""The format that networks run in: asked for by name, refused where it would be slower than float32."""

import pytest
import torch

from microcinema_core.errors import InputError
from microcinema_core.shot.settings import Precision
from microcinema_core.standalone import precision
from microcinema_core.standalone.precision import dtype_for

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_what_each_name_means():
    assert dtype_for(Precision.AUTO, CPU) is torch.float32
    assert dtype_for(Precision.AUTO, GPU) is torch.float16
    assert dtype_for(Precision.FP32, GPU) is torch.float32
    assert dtype_for(Precision.BF16, GPU) is torch.bfloat16


def test_no_float16_on_a_cpu():
    with pytest.raises(InputError, match="float16 is slower than float32 on a CPU; use bf16 or fp32"):
        dtype_for(Precision.FP16, CPU)


@pytest.mark.parametrize("pays", [True, False])
def test_bfloat16_where_it_is_faster(pays, monkeypatch):
    monkeypatch.setattr(precision, "bfloat16_pays", lambda device: pays)
    if pays:
        assert dtype_for(Precision.BF16, CPU) is torch.bfloat16
    else:
        with pytest.raises(InputError, match="this processor has no bfloat16"):
            dtype_for(Precision.BF16, CPU)
