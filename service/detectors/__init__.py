"""Voice activity models, one file each; a file knows its library and the core."""
