"""Decides member by member what a pass over the package brings out, and checks vmlinux."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from kernsym.cache import Bundle, BundleFile, FileRole, Unchecked, Verification
from kernsym.distros import MemberKind, PackageRef, Refused, Role
from kernsym.server.binaries.dwarf import source_prefix
from kernsym.server.binaries.verify import VmlinuxIdentity, check, read_identity, require_pair
from kernsym.server.jobs import Job
from kernsym.server.unpack import ExtractedFile, Member, Pass

_ROLES = {
    MemberKind.VMLINUX: FileRole.VMLINUX,
    MemberKind.STRIPPED: FileRole.STRIPPED,
    MemberKind.MODULE: FileRole.MODULE,
    MemberKind.SYSTEM_MAP: FileRole.SYSTEM_MAP,
}


# What must stay free while modules are kept that may not be wanted: those of a kernel have 5.2 GB.
_ROOM_FOR_GUESSES = 8 << 30


class Collector:
    """What has come of one kernel, over all passes of a job.  Used by the unpacking thread.

    `root` is where the packages' files are written; their manifest paths begin with its name.
    Of a split pair the stripped kernel comes first, with the package of role KERNEL: it holds the
    banner.
    """

    def __init__(self, job: Job, held: Bundle | None, root: Path) -> None:
        self._job = job
        self._package = ""
        self._role = Role.DEBUGINFO
        self._root = root
        self._held = held
        self._stripped: VmlinuxIdentity | None = None
        self._guessed: set[str] = set()
        self.files: dict[str, BundleFile] = {file.path: file for file in held.files} if held else {}
        self.unchecked = {mark.package: mark for mark in held.unchecked} if held else {}
        self._believe_held()

    def _believe_held(self) -> None:
        """Know of the kernel what the bundle that is held says, and nothing else."""
        held = self._held if self._held and self._held.first(FileRole.VMLINUX) else None
        self.source_prefix = held.source_prefix if held else ""
        self.verification: Verification | None = held.verification if held else None
        self.absent: set[str] = set(held.absent) if held else set()
        self.all_modules = held.all_modules if held else False

    def begin(self, package: PackageRef) -> None:
        """The next passes are over this package."""
        self._package, self._role = package.package.id, package.package.role

    def reject(self) -> None:
        """Remove what this job brought of the present package and forget what it proved: it is
        not the dump's kernel, or not as it was published, which may show only at its end."""
        held = {file.path for file in self._held.files} if self._held else set()
        for path, file in list(self.files.items()):
            if file.package == self._package and path not in held:
                (self._root.parent / path).unlink(missing_ok=True)
                del self.files[path]
        self._guessed.clear()
        self.unchecked.pop(self._package, None)
        if self._held:
            self.unchecked |= {mark.package: mark for mark in self._held.unchecked}
        if self._role is Role.KERNEL:
            self._stripped = None
        self._believe_held()

    def wanted(self, kind: MemberKind, name: str, path: str) -> bool:
        """Whether a member shall be written.  Holds the pass back at the first module, until those
        who have to see vmlinux first have said which modules they want; where the modules stand
        before vmlinux (RPMs are sorted), all are kept until then, and the package is read once."""
        if f"{self._root.name}/{path}" in self.files:
            return False
        if self._role is Role.KERNEL or kind is MemberKind.STRIPPED:
            return self._role is Role.KERNEL and kind is MemberKind.STRIPPED
        if kind is not MemberKind.MODULE:
            return True
        if self.verification is not None:
            self._job.wanted.settle()
        if self._job.wanted.everything or name in self._job.wanted.names():
            return True
        guess = self.verification is None and self._job.wanted.promised and self._has_room()
        if guess:
            self._guessed.add(f"{self._root.name}/{path}")
        return guess

    def for_later(self, member: Member) -> bool:
        """Whether nobody is about to read a member that is wanted: of all modules, those that
        nobody has named."""
        wanted = self._job.wanted
        is_module = member.kind is MemberKind.MODULE
        return is_module and wanted.everything and member.name not in wanted.names()

    def keep(self, file: ExtractedFile) -> None:
        """Note a file that was written.  Raises `Refused` for a vmlinux that is not the dump's; the
        file is gone then."""
        try:
            if file.kind is MemberKind.STRIPPED:
                self._check_stripped(file)
            if file.kind is MemberKind.VMLINUX:
                self._check_vmlinux(file)
        except Refused:
            (self._root / file.path).unlink(missing_ok=True)
            raise
        path = f"{self._root.name}/{file.path}"
        self.files[path] = BundleFile(
            role=_ROLES[file.kind],
            path=path,
            size=file.size,
            sha256=file.sha256,
            package=self._package,
            name=file.name if file.kind is MemberKind.MODULE else "",
            build_id=file.build_id,
        )
        self._job.coming.accept(file)

    def mark(self, mark: Unchecked) -> None:
        """Files were taken out of a package that did not come whole, perhaps more than before."""
        before = self.unchecked.get(mark.package, mark)
        paths = dict.fromkeys((*before.paths, *mark.paths))
        kept = tuple(path for path in paths if path in self.files)
        self.unchecked[mark.package] = replace(mark, paths=kept)

    def enough(self) -> bool:
        """Whether the rest of the package can be left unread."""
        wanted = self._job.wanted
        if self._role is Role.KERNEL:
            return wanted.closed or self.has_kernel()
        return wanted.closed or (
            self.verification is not None
            and not wanted.everything
            and not wanted.promised
            and not self.lacking()
        )

    def lacking(self) -> set[str]:
        """Modules that are asked for, have not come, and may still be in the package."""
        have = {file.name for file in self.files.values()}
        return self._job.wanted.names() - have - self.absent

    def end_pass(self, went: Pass) -> None:
        """Learn from a pass that read the package to its end which modules it does not have, and
        drop what was kept in vain.  May block, as `wanted`."""
        if self.verification is not None:
            self._job.wanted.settle()
        if went.complete and self._role is Role.DEBUGINFO:
            self.absent |= self.lacking() - went.modules
            self.all_modules |= self._job.wanted.everything
        self._drop_guesses()

    def _drop_guesses(self) -> None:
        names = self._job.wanted.names()
        for path in self._guessed & set(self.files):
            if not self._job.wanted.everything and self.files[path].name not in names:
                (self._root.parent / path).unlink(missing_ok=True)
                del self.files[path]
        self._guessed.clear()

    def _has_room(self) -> bool:
        there = next(folder for folder in self._root.parents if folder.exists())
        return shutil.disk_usage(there).free > _ROOM_FOR_GUESSES

    def has_kernel(self) -> bool:
        """Whether the package's part of the kernel has come and is the dump's."""
        if self._role is Role.KERNEL:
            return any(file.role is FileRole.STRIPPED for file in self.files.values())
        return self.verification is not None

    def satisfied(self) -> bool:
        """Whether everything that is asked for at this moment has come or is known to be absent."""
        everything = self._job.wanted.everything
        if self._role is Role.KERNEL:
            return self.has_kernel()
        return (
            self.verification is not None
            and not self.lacking()
            and (self.all_modules or not everything)
        )

    def _check_stripped(self, file: ExtractedFile) -> None:
        identity = read_identity(self._root / file.path)
        self._check(identity)
        self._stripped = identity

    def _check_vmlinux(self, file: ExtractedFile) -> None:
        path = self._root / file.path
        if self._stripped is not None:
            require_pair(self._stripped, path)
        verification = self._check(self._stripped or read_identity(path))
        self.source_prefix = source_prefix(path)
        self.verification = verification
        self._job.stage("vmlinux", f"verified: {verification.words}")
        self._job.vmlinux(f"{self._root.name}/{file.path}")

    def _check(self, identity: VmlinuxIdentity) -> Verification:
        job = self._job
        return check(job.fingerprint, identity, by_name=not job.candidates, kernel=job.kernel)
