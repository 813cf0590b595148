"""The `vgaemu` command."""
