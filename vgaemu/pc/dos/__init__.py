"""DOS for .COM programs."""
