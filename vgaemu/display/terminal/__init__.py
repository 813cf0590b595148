"""The picture in a text terminal: cells out as escape sequences, keys in."""
