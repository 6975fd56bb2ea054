"""Boots a kernel in QEMU until it panics, and writes the guest's memory as an ELF core.

dump_guest.py [--megabytes N] KERNEL INITRD OUTPUT
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# 12@0x510:0:1:4 is where QEMU's PC has fw_cfg; with its DMA register, or no note is written.
APPEND = "console=ttyS0 panic=0 qemu_fw_cfg.ioport=12@0x510:0:1:4"
PANIC_LIMIT = 180.0  # seconds
ELF_HEADER = 64


class Monitor:
    """QEMU's machine protocol over its unix socket."""

    def __init__(self, path: Path) -> None:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        self._stream = connection.makefile("rw", encoding="utf-8")
        self._stream.readline()  # the greeting
        self.run("qmp_capabilities")

    def run(self, command: str, **arguments: Any) -> None:
        self._stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._stream.flush()
        for line in self._stream:
            answer = json.loads(line)
            if "error" in answer:
                raise SystemExit(f"QEMU: {command}: {answer['error']['desc']}")
            if "return" in answer:
                return
        raise SystemExit(f"QEMU ended during {command}")


def wait_for(path: Path, text: str, qemu: subprocess.Popen[bytes]) -> None:
    """Until the file holds `text`; ends the program when QEMU ends or time is up."""
    end = time.monotonic() + PANIC_LIMIT
    while time.monotonic() < end and qemu.poll() is None:
        if path.exists() and text in path.read_text(errors="replace"):
            return
        time.sleep(0.2)
    log = path.read_text(errors="replace") if path.exists() else ""
    raise SystemExit(f"{log[-3000:]}\nthe guest never said {text!r}")


def dump(kernel: str, initrd: str, output: Path, megabytes: int) -> None:
    """Boots, waits for the panic, and lets QEMU write `output`."""
    with tempfile.TemporaryDirectory() as name:
        monitor, console = Path(name, "monitor"), Path(name, "console")
        command = ["qemu-system-x86_64", "-accel", "tcg", "-m", str(megabytes)]
        # Sockets: the firmware's table, the only one without ACPI, lists one CPU of each.
        command += ["-smp", "2,sockets=2"]
        command += ["-nodefaults", "-display", "none", "-device", "vmcoreinfo"]
        command += ["-kernel", kernel, "-initrd", initrd, "-append", APPEND]
        command += ["-serial", f"file:{console}", "-qmp", f"unix:{monitor},server=on,wait=off"]
        qemu = subprocess.Popen(command)
        try:
            wait_for(console, "sysrq triggered crash ]", qemu)
            print(console.read_text(errors="replace")[-2500:], file=sys.stderr)
            qmp = Monitor(monitor)
            qmp.run("stop")
            qmp.run("dump-guest-memory", paging=False, protocol=f"file:{output}")
            qmp.run("quit")
            qemu.wait(30)
        finally:
            qemu.kill()


def straighten(core: Path) -> None:
    """Moves QEMU's program headers to where makedumpfile 1.7 looks for them.

    QEMU 7.2 states a header size of 8 and puts a section table between the header and the
    program headers; makedumpfile takes the latter to follow the former.
    """
    with core.open("r+b") as file:
        header = bytearray(file.read(ELF_HEADER))
        (offset,) = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        file.seek(offset)
        segments = file.read(size * count)
        struct.pack_into("<QQ", header, 32, ELF_HEADER, 0)  # e_phoff, e_shoff
        struct.pack_into("<H", header, 52, ELF_HEADER)  # e_ehsize
        struct.pack_into("<HHH", header, 58, 0, 0, 0)  # no sections
        file.seek(0)
        file.write(bytes(header) + segments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=48, help="the guest's memory")
    parser.add_argument("kernel")
    parser.add_argument("initrd")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    dump(arguments.kernel, arguments.initrd, arguments.output, arguments.megabytes)
    straighten(arguments.output)


if __name__ == "__main__":
    main()
