"""Encodings: a block of the picture as a viewer's bytes. Each viewer has encoders of its own.

Tight, Zlib and Raw, in this order where a viewer leaves the choice to us. Not here: Hextile, RRE,
ZRLE, which viewers that have none of those three do not exist for, and whatever loses colours
(JPEG). `vgaemu.view.seen` tells of CopyRect.
"""
