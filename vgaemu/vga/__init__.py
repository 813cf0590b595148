"""The device: registers, memory, DAC, scanout and renderers. Knows no display and no guest."""
