"""INT 33h: a mouse driver as DOS programs know it."""
