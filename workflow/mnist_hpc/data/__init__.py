"""Data sets: download, formats, conversion."""
