"""Runs beside each other: what differs in their configs, how good they got, how fast, and whether that can be compared."""

from ganjax.compare.tables import compare_runs, protocol_differences

__all__ = ['compare_runs', 'protocol_differences']
