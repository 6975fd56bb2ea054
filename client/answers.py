"""What `kernsym identify` answers: one value per input, as JSON or for a person."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from kernsym.cache import Bundle
from kernsym.client.dumps.reader import DumpFacts
from kernsym.client.logs import as_log, find_boots
from kernsym.client.output import size
from kernsym.client.words import fingerprint_of_report, fingerprint_of_words
from kernsym.distros import (
    Fingerprint,
    Kernel,
    Outcome,
    Package,
    Verdict,
    catalog,
    distro_of,
    find_banner,
    identify,
    identify_package,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`source` names the input; `fingerprint` is what it shows; `facts` is there for a dump.

    `passed_over`: other kernels that the input shows, each with the reason why it is not of them.
    """

    source: str
    verdict: Verdict
    banner: str | None
    fingerprint: Fingerprint
    facts: DumpFacts | None = None
    passed_over: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[Package, ...]:
        kernel = self.verdict.kernel
        return distro_of(kernel).packages(kernel) if kernel else ()


def answer_text(source: str, text: str) -> Answer:
    """The answer for a line of text: what stands around its banner does not matter.

    Without one it may be a line of `uname -a`, or nothing but a release or a package's file name.
    """
    banner = find_banner(text)
    if banner is not None:
        shown = Fingerprint(banner=banner.raw)
    else:
        shown = fingerprint_of_words(text) or Fingerprint()
    verdict = identify_package(text.strip()) or identify(shown)
    raw = banner.raw if banner else None
    return Answer(source=source, verdict=verdict, banner=raw, fingerprint=shown)


def answers_of_text(source: str, text: str) -> tuple[Answer, ...]:
    """The answers for a file: of a log the kernel that booted last, of a list one for each line
    that names a kernel; at least one."""
    lines = text.removesuffix("\n").split("\n")
    boots = find_boots(lines)
    log = as_log(lines, boots)
    if log is not None:
        others = tuple(f"line {boot.line}: {boot.banner.raw}: {why}" for boot, why in log.others)
        found = answer_text(f"{source}:{log.last.line}", log.last.banner.raw)
        return (replace(found, passed_over=others),)
    if boots:
        return tuple(answer_text(f"{source}:{boot.line}", boot.banner.raw) for boot in boots)
    named = [
        answer_text(f"{source}:{number}", line)
        for number, line in enumerate(lines, 1)
        if fingerprint_of_words(line)
    ]
    if named:
        return (named[-1],)
    report = fingerprint_of_report(text)
    if report is None:
        return (answer_text(source, ""),)
    line, shown = report
    return (
        Answer(source=f"{source}:{line}", verdict=identify(shown), banner=None, fingerprint=shown),
    )


def answer_held(source: str, bundle: Bundle) -> Answer:
    """The answer for a build ID of which the store holds the file."""
    verdict = Verdict(
        outcome=Outcome.IDENTIFIED,
        reason="the store holds a file of this build ID",
        evidence=(source,),
        kernel=bundle.kernel,
        candidates=(bundle.kernel.distro,),
    )
    shown = Fingerprint(build_id=source.lower())
    return Answer(
        source=source, verdict=verdict, banner=bundle.verification.banner, fingerprint=shown
    )


def answer_dump(source: str, facts: DumpFacts) -> Answer:
    return Answer(
        source=source,
        verdict=identify(facts.fingerprint),
        banner=facts.fingerprint.banner,
        fingerprint=facts.fingerprint,
        facts=facts,
    )


def as_json(answer: Answer) -> dict[str, Any]:
    """The object that other programs read: its keys are fixed."""
    verdict = answer.verdict
    return {
        "source": answer.source,
        "verdict": verdict.outcome.value,
        "reason": verdict.reason,
        "banner": answer.banner,
        "kernel": _kernel(verdict.kernel) if verdict.kernel else None,
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
        "evidence": list(verdict.evidence),
        "rejected": [
            *({"distro": name, "reason": reason} for name, reason in verdict.rejected),
            *({"distro": None, "reason": reason} for reason in answer.passed_over),
        ],
        "possible": [_kernel(kernel) for kernel in verdict.possible],
    }


def _kernel(kernel: Kernel) -> dict[str, str | None]:
    return {
        "distro": kernel.distro,
        "release": kernel.release,
        "arch": kernel.arch,
        "uname": kernel.uname,
        "flavour": kernel.flavour,
        "version": kernel.version,
        "build_id": kernel.build_id,
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
    distro = f"{distro_of(kernel).title} {kernel.release}".rstrip()
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
    lines += [("possible", kernel_line(kernel)) for kernel in verdict.possible]
    lines += [("not", f"{catalog()[name].title}: {reason}") for name, reason in verdict.rejected]
    lines += [("seen too", text) for text in answer.passed_over]
    lines += [("package", f"{package.id}  ({package.role.value})") for package in answer.packages]
    return lines
