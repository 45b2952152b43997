"""Commands for people, besides the stages: one file each, with its arguments and what it does."""
