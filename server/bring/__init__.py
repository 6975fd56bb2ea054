"""Brings a kernel: its packages as they come, one pass over each, checked, published."""
