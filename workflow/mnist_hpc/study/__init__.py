"""The study: config, specifications of variants and sweeps, and where results lie. Imports nothing heavy."""
