"""Folders of this machine: which packages, kernels and modules lie in them, under whatever name.

    walk.py (what has changed) ─► heads.py (what a file says of itself) ─► cache/scanned.py

Of a package its header is read and no more.
"""
