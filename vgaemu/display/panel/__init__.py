"""The panel below the picture."""
