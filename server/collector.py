"""Decides member by member what a pass over the package brings out, and checks vmlinux."""

from __future__ import annotations

from pathlib import Path

from kernsym.cache import Bundle, BundleFile, FileRole, Verification
from kernsym.distros import MemberKind
from kernsym.server.jobs import Job
from kernsym.server.unpack import ExtractedFile, Pass
from kernsym.server.verify import check, read_identity

_ROLES = {
    MemberKind.VMLINUX: FileRole.VMLINUX,
    MemberKind.MODULE: FileRole.MODULE,
    MemberKind.SYSTEM_MAP: FileRole.SYSTEM_MAP,
}


class Collector:
    """What has come of one kernel, over all passes of a job.  Used by the unpacking thread.

    `root` is where the package's files are written; their manifest paths begin with its name.
    """

    def __init__(self, job: Job, held: Bundle | None, package: str, root: Path) -> None:
        self._job = job
        self._package = package
        self._root = root
        self.verification: Verification | None = held.verification if held else None
        self.files: dict[str, BundleFile] = {file.path: file for file in held.files} if held else {}
        self.absent: set[str] = set(held.absent) if held else set()
        self.all_modules = held.all_modules if held else False

    def wanted(self, kind: MemberKind, name: str, path: str) -> bool:
        """Whether a member shall be written.  Holds the pass back at the first module, until those
        who have to see vmlinux first have said which modules they want."""
        if f"{self._root.name}/{path}" in self.files:
            return False
        if kind is not MemberKind.MODULE:
            return True
        if self.verification is not None:
            self._job.wanted.settle()
        return self._job.wanted.everything or name in self._job.wanted.names()

    def keep(self, file: ExtractedFile) -> None:
        """Note a file that was written.  Raises `Refused` for a vmlinux that is not the dump's."""
        if file.kind is MemberKind.VMLINUX:
            self._check_vmlinux(file)
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

    def enough(self) -> bool:
        """Whether the rest of the package can be left unread."""
        wanted = self._job.wanted
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
        """Learn from a pass that read the package to its end which modules it does not have."""
        if went.complete:
            self.absent |= self.lacking() - went.modules
            self.all_modules |= self._job.wanted.everything

    def satisfied(self) -> bool:
        """Whether everything that is asked for at this moment has come or is known to be absent."""
        everything = self._job.wanted.everything
        return (
            self.verification is not None
            and not self.lacking()
            and (self.all_modules or not everything)
        )

    def _check_vmlinux(self, file: ExtractedFile) -> None:
        identity = read_identity(self._root / file.path)
        self.verification = check(self._job.fingerprint, identity)
        same = " and ".join(self.verification.by).replace("build-id", "build ID")
        self._job.stage("vmlinux", f"verified: {same} equal the dump's")
        self._job.vmlinux(f"{self._root.name}/{file.path}")
