"""Reads the dump, asks for its symbols, starts the debugger; the command line."""
