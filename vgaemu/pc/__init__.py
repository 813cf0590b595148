"""A PC for machine code: CPUs, chips, BIOS and DOS around a `Vga`."""
