"""Takes files out of a package of which only their blocks come, where that helps and is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kernsym.cache import Store, Unchecked
from kernsym.cache.messages import Partial
from kernsym.distros import Kernel, MemberKind, PackageRef, Refused, distro_of
from kernsym.server.binaries import elf
from kernsym.server.bring.arriving import Arrivals
from kernsym.server.bring.collector import Collector
from kernsym.server.bring.work import ROOT
from kernsym.server.jobs import Job
from kernsym.server.mirrors.ranged import RangedPackage
from kernsym.server.mirrors.ranged_answer import RangesUnusable
from kernsym.server.mirrors.resolve import Offer
from kernsym.server.mirrors.upstream import is_file_url
from kernsym.server.threads import in_thread
from kernsym.server.unpack import ExtractedFile, Pass, extract_found

# What shows that the bytes are not those of a package; a vmlinux of another kernel does not.
_WRONG_BYTES = ("package-corrupt", "package-unsafe", "package-kind-unknown", "elf-unreadable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms files may be taken out of a package that does not come whole."""

    later: bool
    for_all: bool


class PartBringer:
    """What does not come whole is marked in the manifest until it has been checked."""

    def __init__(self, store: Store, arrivals: Arrivals) -> None:
        self._store = store
        self._arrivals = arrivals

    def terms(self, job: Job, offer: Offer) -> Terms | None:
        """None: the whole has to come, is there, or is no dearer."""
        for_all = offer.source is not None and offer.source.partial
        if job.partial is Partial.NO and not for_all:
            return None
        held = self._store.package_path(job.kernel, offer.ref).is_file()
        if held or is_file_url(offer.ref.url):
            return None
        why = self._store.index.withdrawal(job.kernel.key)
        if job.wanted.everything:
            why = "every module is wanted"
        if offer.ref.signed_by is None and offer.source and offer.source.signature == "require":
            why = "no list of packages signs its digest, only its own signature may vouch for it"
        if why is not None:
            job.stage("whole", f"the whole package is downloaded: {why}")
            return None
        return Terms(later=job.partial is not Partial.ONLY, for_all=for_all)

    async def take(self, job: Job, offer: Offer, terms: Terms, collector: Collector) -> Pass | None:
        """What is wanted of a package, marked; None where the whole has to come, the job says why.

        Raises as `Arrivals.open_in_part`.
        """
        try:
            async with self._arrivals.open_in_part(job, offer) as source:
                went = await self._pass(job, offer.ref, source, terms, collector)
        except RangesUnusable as error:
            why = error.message
        except Refused as error:
            if error.code not in (*_WRONG_BYTES, "module-mismatch"):
                raise
            why = f"what came by ranges is wrong: {error.message}"
        else:
            return went
        job.stage("whole", f"the whole package is downloaded: {why}")
        collector.reject()
        return None

    async def _pass(
        self, job: Job, ref: PackageRef, source: RangedPackage, terms: Terms, collector: Collector
    ) -> Pass:
        layout = distro_of(job.kernel).layout(job.kernel)
        root = self._store.folder(job.kernel) / ROOT
        paths: list[str] = []

        def keep(file: ExtractedFile) -> None:
            _require_own(job.kernel, file, root)
            collector.keep(file)
            paths.append(f"{ROOT}/{file.path}")

        def stop() -> None:
            job.wanted.close()
            source.close()

        went = await in_thread(
            lambda: extract_found(
                source, layout, collector.wanted, root, keep, stop=collector.enough
            ),
            stop=stop,
        )
        if went is None:
            why = "its files cannot be found without reading all before them"
            raise RangesUnusable("ranges-unusable", why)
        if paths:
            mark = Unchecked(
                package=ref.package.id,
                paths=tuple(paths),
                came=source.size_held,
                size=source.whole(),
                later=terms.later,
                for_all=terms.for_all,
            )
            collector.mark(mark)
            job.stage("download", mark.words)
        return went


def _require_own(kernel: Kernel, file: ExtractedFile, root: Path) -> None:
    """Raises `Refused` (`module-mismatch`) for a module that is made for another kernel, as far as
    it says, or says nothing that the dump's could be compared with."""
    if file.kind is not MemberKind.MODULE:
        return
    path = root / file.path
    facts = (elf.section(path, ".modinfo") or b"").split(b"\0")
    made_for = next((fact[9:].split() for fact in facts if fact.startswith(b"vermagic=")), None)
    own = made_for is None or made_for[:1] == [kernel.uname.encode()]
    if not own or (made_for is None and file.build_id is None):
        path.unlink(missing_ok=True)
        raise Refused("module-mismatch", f"the module {file.name} is not of {kernel.uname}")
