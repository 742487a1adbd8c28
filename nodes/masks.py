"""MASKs of the host, painted by a person, as the core's."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..microcinema_core.errors import InputError
from ..microcinema_core.motion.plates import SELECTED
from ..microcinema_core.shot.dials import Dial
from .dials import widget
from .finite import is_finite

PAINT = (
    "right-click Load Image, Open in MaskEditor, paint, save, and connect that node's MASK; a cut-out's MASK selects "
    "what is around it: put InvertMask between"
)
MIDDLE, POINT = "middle of the mask", "point"


def one_mask(mask: Tensor, title: str) -> Tensor:
    """MASK [1, H, W] -> [H, W]. Raises InputError for several masks, NaN, and one in which nothing is painted."""
    if mask.ndim == 2:
        mask = mask[None]
    if mask.ndim != 3 or 0 in mask.shape:
        raise InputError(f"{title}: mask has shape {list(mask.shape)}; connect a MASK, such as Load Image's")
    if len(mask) != 1:
        raise InputError(f"{title}: mask holds {len(mask)} masks; give one, and another node for each further one")
    if not is_finite(mask):
        raise InputError(f"{title}: mask holds NaN or infinity; look for the node it comes from")
    if float(mask.max()) < SELECTED:
        size = f"{mask.shape[2]}x{mask.shape[1]}"
        raise InputError(
            f"{title}: mask is empty ({size}, nothing selected), as that of a picture without any; paint it: {PAINT}"
        )
    return mask[0].float()


def point_input(name: str, tooltip: str) -> io.DynamicCombo.Input:
    """The middle of the mask, or a point x, y in shares of the picture."""
    place = "Of the picture's {}, from the {}; it may lie outside."
    x, y = (Dial(place.format(*words), -10.0, 10.0, step=0.01) for words in (("width", "left"), ("height", "top")))
    return io.DynamicCombo.Input(
        name,
        options=[
            io.DynamicCombo.Option(MIDDLE, []),
            io.DynamicCombo.Option(POINT, [widget("x", x, 0.5), widget("y", y, 0.5)]),
        ],
        tooltip=tooltip,
        extra_dict={"advanced": True},
    )
