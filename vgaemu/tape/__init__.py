"""Tapes: recorded port and memory operations."""
