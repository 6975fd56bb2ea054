"""Names files that are no dump we read, by their first bytes: what it is, what to do."""

from __future__ import annotations

from pathlib import Path

from kernsym.distros import Unusable

LOOKED_AT = 1024  # bytes from the beginning that suffice

_UNPACK = "decompress it first: {}"
_CONVERT = "a disk has no memory in it; dump the guest with `virsh dump --memory-only`"
_MEMORY_ONLY = "dump the guest with `virsh dump --memory-only`, or QEMU's dump-guest-memory"

# offset, magic, what it is, what to do
_MAGICS: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x1f\x8b", "gzip-compressed", _UNPACK.format("gunzip")),
    (0, b"\xfd7zXZ\0", "xz-compressed", _UNPACK.format("unxz")),
    (0, b"\x28\xb5\x2f\xfd", "zstd-compressed", _UNPACK.format("unzstd")),
    (0, b"BZh", "bzip2-compressed", _UNPACK.format("bunzip2")),
    (0, b"\x04\x22\x4d\x18", "lz4-compressed", _UNPACK.format("unlz4")),
    (0, b"LZIP", "lzip-compressed", _UNPACK.format("lzip -d")),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK.format("7z x")),
    (0, b"PK\x03\x04", "a ZIP archive", _UNPACK.format("unzip")),
    (257, b"ustar", "a tar archive", "unpack it first: tar xf"),
    (0, b"QFI\xfb", "a qcow2 disk image", _CONVERT),
    (0, b"KDMV", "a VMDK disk image", "give the .vmss or .vmsn of the virtual machine instead"),
    (0, b"# Disk DescriptorFile", "a VMDK descriptor", "give the .vmss or .vmsn instead"),
    (0, b"vhdxfile", "a VHDX disk image", _CONVERT),
    (0, b"conectix", "a VHD disk image", _CONVERT),
    (64, b"\x7f\x10\xda\xbe", "a VirtualBox disk image", _CONVERT),
    (0, b"QEVM", "a QEMU migration stream (savevm)", _MEMORY_ONLY),
    (0, b"LibvirtQemudSave", "a libvirt save file", _MEMORY_ONLY),
    (0, b"LibvirtQemudPart", "an unfinished libvirt save file", _MEMORY_ONLY),
    (0, b"EMiL", "a LiME dump", "make it again with LiME's format=padded, which is raw memory"),
    (0, b"AVML", "an AVML dump", "convert it with avml-convert to raw memory"),
    (0, b"PAGEDU", "a Windows crash dump", "kernsym finds symbols of Linux kernels"),
    (0, b"PAGEDUMP", "a Windows crash dump", "kernsym finds symbols of Linux kernels"),
    (0, b"MDMP", "a Windows minidump", "kernsym finds symbols of Linux kernels"),
    (0, b"hibr", "a Windows hibernation file", "kernsym finds symbols of Linux kernels"),
    (0, b"HIBR", "a Windows hibernation file", "kernsym finds symbols of Linux kernels"),
    (0, b"LUKS\xba\xbe", "encrypted with LUKS", "open it first with cryptsetup"),
    (0, b"Salted__", "encrypted with openssl", "decrypt it first"),
    (0, b"age-encryption.org/", "encrypted with age", "decrypt it first"),
    (0, b"-----BEGIN PGP MESSAGE", "encrypted with OpenPGP", "decrypt it first"),
    (0, b"!<arch>\n", "a .deb package or an archive", "give the dump, not the symbols"),
    (0, b"\xed\xab\xee\xdb", "an RPM package", "give the dump, not the symbols"),
    (0x202, b"HdrS", "a bootable kernel image", "give the dump, not the kernel"),
    (0, b"\xff\xd8\xff", "a JPEG picture", ""),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture", ""),
    (0, b"%PDF-", "a PDF document", ""),
    (0, b"SQLite format 3\0", "an SQLite database", ""),
)


def refuse_foreign(path: Path, start: bytes) -> None:
    """Raises `Unusable` (`dump-foreign`, `dump-is-text`) when the first bytes tell what it is."""
    for offset, magic, what, hint in _MAGICS:
        if start.startswith(magic, offset):
            raise Unusable(
                "dump-foreign",
                f"{path} is {what}, expected a dump of a kernel's memory",
                hint=hint or "give a vmcore, a .vmss or .vmsn, or raw memory",
            )
    if _is_text(start):
        raise Unusable(
            "dump-is-text",
            f"{path} is text, expected a dump of a kernel's memory",
            hint=f"for a log with the kernel's banner in it: kernsym identify {path}",
        )


def _is_text(start: bytes) -> bool:
    control = set(start) & (set(range(32)) - set(b"\t\n\r\f\x1b\b"))
    return not control and sum(byte < 128 for byte in start) > len(start) * 0.7
