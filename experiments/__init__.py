"""Experiments: each file is one, `get_config()` gives the fields that matter to it."""
