"""Recognition engines, one file each; a file knows its library and the core."""
