"""The dirty log that a real VM keeps."""
