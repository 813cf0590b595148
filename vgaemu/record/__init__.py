"""Recording: what was shown, as a moving picture, with the timing of its frames.

`recorder` is a display that copies what was redrawn into a bounded queue and goes; a thread applies
that to a picture of its own (`film`) and lets an encoder write it (`formats`: which there are).
Only frames that changed a pixel are written, each timed by its frame number at the mode's rate.

Not here: sound, which a VGA has none of; the guest's side, which `vgaemu.tape` records.
"""
