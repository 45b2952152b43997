"""Commands that people call beside the stages: one file each, with its arguments and what it does."""
