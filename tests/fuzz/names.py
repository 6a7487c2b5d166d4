"""The names of the fuzz targets; a module of its own, so that nothing is imported before atheris can instrument it."""

from __future__ import annotations

NAMES = (
    *(
        "header",
        "packet",
        "segment",
        "reassembler",
        "announcement",
        "report",
        "protected",
        "recover",
        "reliable",
    ),
    *("reliable_ends", "handshake", "noise", "key_file", "endpoint", "session"),
    *("codec_header", "codec_unit", "coded", "classic_body", "classic_units", "control", "replies"),
    *("text", "audio", "capture"),
    *("contour_payload", "contour_units"),
    *("map_part", "legend"),
    *("texture_header", "texture_units"),
)
