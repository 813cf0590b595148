"""The bundled workloads, one file each; `vgaemu list` shows them."""
