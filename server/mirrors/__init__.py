"""Talks to mirrors, and checks what they say: pages, packages, signatures."""
