"""Runs beside each other: what differs in their configs, how good they got, how fast, and whether that can be compared."""

from ganjax.compare.evaluated import protocol_differences
from ganjax.compare.tables import compare_runs

__all__ = ['compare_runs', 'protocol_differences']
