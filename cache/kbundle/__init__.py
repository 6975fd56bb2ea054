"""Kernels in one file, to be carried where no network reaches.

A .kbundle is a tar in zstd frames; `tar --zstd -xf FILE` unpacks it, `sha256sum -c SHA256SUMS`
checks what came out.  First `kernsym-bundle.json`, what the store's manifests say of the kernels;
then `SHA256SUMS`, of that and of every file; perhaps `SHA256SUMS.asc`, a detached OpenPGP signature
of that; then the files under their paths in a store.
"""

from kernsym.cache.kbundle.contents import Contents, kernel_path
from kernsym.cache.kbundle.packing import pack
from kernsym.cache.kbundle.reading import CarriedFile, Carrier, open_carrier

__all__ = ["CarriedFile", "Carrier", "Contents", "kernel_path", "open_carrier", "pack"]
