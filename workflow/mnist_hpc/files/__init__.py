"""Files: written atomically, checked when read, with what they were made from."""
