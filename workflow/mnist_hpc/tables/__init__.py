"""Aggregation of the runs into tables."""
