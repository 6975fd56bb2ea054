"""What `kernsym identify` answers: one value per input, as JSON or for a person."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from kernsym.client.dumps.reader import DumpFacts
from kernsym.client.output import size
from kernsym.distros import (
    Fingerprint,
    Kernel,
    Outcome,
    Package,
    Verdict,
    catalog,
    find_banner,
    identify,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`source` names the input; `facts` is there for a dump."""

    source: str
    verdict: Verdict
    banner: str | None
    facts: DumpFacts | None = None

    @property
    def packages(self) -> tuple[Package, ...]:
        kernel = self.verdict.kernel
        return catalog()[kernel.distro].packages(kernel) if kernel else ()


def answer_text(source: str, text: str) -> Answer:
    """The answer for a text that may hold a banner, with whatever stands before it."""
    banner = find_banner(text)
    raw = banner.raw if banner else None
    return Answer(source=source, verdict=identify(Fingerprint(banner=raw)), banner=raw)


def answer_dump(source: str, facts: DumpFacts) -> Answer:
    return Answer(
        source=source,
        verdict=identify(facts.fingerprint),
        banner=facts.fingerprint.banner,
        facts=facts,
    )


def as_json(answer: Answer) -> dict[str, Any]:
    """The object of DESIGN's contract: its keys are fixed, other programs read them."""
    verdict = answer.verdict
    return {
        "source": answer.source,
        "verdict": verdict.outcome.value,
        "reason": verdict.reason,
        "banner": answer.banner,
        "kernel": asdict(verdict.kernel) if verdict.kernel else None,
        "candidates": list(verdict.candidates),
        "packages": [
            {
                "role": package.role.value,
                "id": package.id,
                "name": package.name,
                "version": package.version,
                "arch": package.arch,
            }
            for package in answer.packages
        ],
        "dump": _dump(answer.facts) if answer.facts else None,
    }


def _dump(facts: DumpFacts) -> dict[str, Any]:
    """`phys_base` and `kaslr_offset` in bytes."""
    return {
        "format": facts.format,
        "compression": facts.compression,
        "arch": facts.fingerprint.arch,
        "phys_base": facts.phys_base,
        "kaslr_offset": facts.kaslr_offset,
        "vmcoreinfo": facts.vmcoreinfo_from is not None,
        "vmcoreinfo_from": facts.vmcoreinfo_from,
        "banner_from": facts.banner_from,
        "banner_address": facts.banner_address,
    }


def dump_line(facts: DumpFacts) -> str:
    """A dump in one line: format, memory, architecture, KASLR."""
    words = [facts.format + (f" ({facts.compression})" if facts.compression else "")]
    words.append(f"{size(facts.memory)} of memory")
    if facts.fingerprint.arch:
        words.append(facts.fingerprint.arch)
    if facts.kaslr_offset:
        words.append(f"KASLR offset {facts.kaslr_offset:#x}")
    return ", ".join(words)


def dump_warnings(facts: DumpFacts) -> list[str]:
    """What is wrong with a dump that still shows its kernel."""
    warnings = []
    if facts.missing:
        warnings.append(
            f"the dump is cut off: at least {size(facts.missing)} are missing, "
            "so a debugger may find holes; copy it again if you can"
        )
    if facts.split:
        warnings.append(
            "the dump is one part of several (makedumpfile --split); crash needs them joined: "
            "makedumpfile --reassemble"
        )
    return warnings


def kernel_line(kernel: Kernel) -> str:
    """A kernel in one line: uname, distribution, package version."""
    distro = f"{catalog()[kernel.distro].title} {kernel.release}".rstrip()
    return f"Linux {kernel.uname} · {distro} · {kernel.version} · {kernel.arch or 'arch unknown'}"


def lines_of(answer: Answer) -> list[tuple[str, str]]:
    """The answer as labelled lines."""
    verdict = answer.verdict
    lines = []
    if answer.facts:
        lines.append(("dump", dump_line(answer.facts)))
    if verdict.kernel:
        lines.append(("kernel", kernel_line(verdict.kernel)))
    else:
        lines.append((verdict.outcome.value, verdict.reason))
    lines += [("evidence", words) for words in verdict.evidence]
    if verdict.outcome is Outcome.AMBIGUOUS and verdict.candidates:
        lines.append(("candidates", ", ".join(verdict.candidates)))
    lines += [("package", f"{package.id}  ({package.role.value})") for package in answer.packages]
    return lines
