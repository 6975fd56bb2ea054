"""Prepared copies of the kernels that are held: when they are made, and the process that does."""
