"""The pygame window, and whatever only it needs. Only `sdl` imports pygame."""
