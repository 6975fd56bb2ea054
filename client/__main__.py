"""`python -m kernsym.client` is the `kernsym` command."""

from kernsym.client.cli import main

main()
