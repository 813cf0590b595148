"""Kernels put into a PC's memory, and its CPU where they begin: without a boot sector."""
