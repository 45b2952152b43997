"""The tables of a study, aggregated over its runs."""
