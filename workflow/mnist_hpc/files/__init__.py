"""Files: atomic writes, checksums, and the provenance of results."""
