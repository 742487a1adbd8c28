"""The media boundary: pictures in; videos, numbered pictures and contact sheets out.

Frames are uint8 RGB, [H, W, 3] each or [T, H, W, 3] together.
"""

from .clips import save_clip, save_picture
from .frames import Frames, Settings, SheetCollector, contact_sheet, to_pixels, to_uint8
from .limits import check_clip_size
from .masks import read_depth, read_mask
from .pictures import MAX_PIXELS, place, read_picture, to_picture, to_rgb
from .places import check_masks_folder, read_masks, save_masks
from .plates import check_plates, check_plates_folder, read_plates, save_plates
from .settings import SETTINGS_SUFFIXES, is_ours, read_settings
from .targets import Form, Target

__all__ = [
    "MAX_PIXELS",
    "SETTINGS_SUFFIXES",
    "Form",
    "Frames",
    "Settings",
    "SheetCollector",
    "Target",
    "check_clip_size",
    "check_masks_folder",
    "check_plates",
    "check_plates_folder",
    "contact_sheet",
    "is_ours",
    "place",
    "read_depth",
    "read_mask",
    "read_masks",
    "read_picture",
    "read_plates",
    "read_settings",
    "save_clip",
    "save_masks",
    "save_picture",
    "save_plates",
    "to_picture",
    "to_pixels",
    "to_rgb",
    "to_uint8",
]
