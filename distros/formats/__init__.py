"""Formats that families of distributions share; bytes in, values out."""
