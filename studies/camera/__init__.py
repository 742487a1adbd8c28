"""Figures of the multiplane camera."""

FOLDER = """\
The published figures are of pictures of Debian 12's packages lomiri-wallpapers, lxqt-themes, mate-backgrounds,
opencv-doc, plasma-workspace-wallpapers, ukui-wallpapers and wesnoth-1.16-data."""
