"""Reads ELF files, and proves that they are the kernel of a dump."""
