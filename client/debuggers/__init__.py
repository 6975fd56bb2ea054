"""Starts a debugger on a dump: which program, which arguments, which file for which module."""
