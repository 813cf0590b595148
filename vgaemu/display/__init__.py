"""Who looks: the display loop, its statistics, and the displays. Only `window` imports pygame."""
