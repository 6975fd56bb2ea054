"""Keeps what is held for a kernel: files, their build IDs and their manifest; disk only."""
