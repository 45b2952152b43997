"""Data sets: download, file formats, sources."""
