"""The CPUs of a PC."""
