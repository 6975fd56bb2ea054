"""What crash prints of its modules, in the shapes of its versions."""

from __future__ import annotations

from kernsym.client.debuggers.module_table import parse_module_table

CRASH_8 = """\
     MODULE       NAME                         BASE           SIZE  OBJECT FILE
ffffffffc02472c0  qemu_fw_cfg            ffffffffc0244000    20480  (not loaded)  [CONFIG_KALLSYMS]
ffffffffc02dee80  dm_mod                 ffffffffc02bc000   184320  (not loaded)  [CONFIG_KALLSYMS]
ffffffffc03dc2c0  ext4                   ffffffffc0314000   983040  /usr/lib/debug/ext4.ko \

"""
CRASH_7 = """\
     MODULE       NAME                     SIZE  OBJECT FILE
ffffffffa00042c0  virtio_ring             16384  (not loaded)  [CONFIG_KALLSYMS]
ffffffffa000f7c0  big                  20480000  (not loaded)  [CONFIG_KALLSYMS]
"""


def test_names_addresses_and_sizes() -> None:
    modules = parse_module_table(CRASH_8)
    assert [(m.name, m.address, m.size) for m in modules] == [
        ("qemu_fw_cfg", 0xFFFFFFFFC0244000, 20480),
        ("dm_mod", 0xFFFFFFFFC02BC000, 184320),
        ("ext4", 0xFFFFFFFFC0314000, 983040),
    ]
    assert {m.build_id for m in modules} == {None} and {m.taints for m in modules} == {""}


def test_crash_7_has_no_base() -> None:
    modules = parse_module_table(CRASH_7)
    assert [(m.name, m.size) for m in modules] == [("virtio_ring", 16384), ("big", 20480000)]


def test_taints_as_letters() -> None:
    modules = parse_module_table(
        CRASH_8, "NAME         TAINTS\ndm_mod       OE\next4         (U)\n"
    )
    assert {m.name: m.taints for m in modules} == {"qemu_fw_cfg": "", "dm_mod": "OE", "ext4": "E"}


def test_sentences_and_bare_numbers_taint_nothing() -> None:
    for text in ("no tainted modules\n", "NAME  LICENSE_GPLOK\next4  1\n", "mod: no modules\n"):
        assert {m.taints for m in parse_module_table(CRASH_8, text)} == {""}


def test_a_kernel_without_modules() -> None:
    assert parse_module_table("mod: no modules loaded in this kernel\n") == ()
