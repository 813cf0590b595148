"""Keys: their names, what they type, their scancodes."""
