"""The BIOS of a PC."""
