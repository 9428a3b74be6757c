"""Decides the SM requirements of one subject on one platform from the answers of its harness."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_xinchuang.building.built import Built, build, made_of, plain_target, target_for
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.deciding import cause_of
from pytest_xinchuang.core.errors import BuildFailed, HostFault, XcError
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.found import Found
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.subject import Subject
from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict
from pytest_xinchuang.harness.protocol import ProtocolError
from pytest_xinchuang.messages import NOTHING, Message, _, joined, verbatim
from pytest_xinchuang.packages.sm_crypto import requirements as ids
from pytest_xinchuang.packages.sm_crypto.causes import Causes, weight
from pytest_xinchuang.packages.sm_crypto.checkup import hello_hints
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.concurrency import check_concurrency
from pytest_xinchuang.packages.sm_crypto.defects import DefectBank, load_bank
from pytest_xinchuang.packages.sm_crypto.judge import TYPES, VectorResult
from pytest_xinchuang.packages.sm_crypto.manifest import SmCrypto
from pytest_xinchuang.packages.sm_crypto.nonces import check_nonces
from pytest_xinchuang.packages.sm_crypto.protocol import LackKind
from pytest_xinchuang.packages.sm_crypto.randomness import check_randomness
from pytest_xinchuang.packages.sm_crypto.runner import VectorOutcome, VectorRun, run_beside, run_vectors
from pytest_xinchuang.packages.sm_crypto.speed import check_throughput
from pytest_xinchuang.packages.sm_crypto.timing import check_timing, pairs_of_errors, pairs_of_keys
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import HANDSHAKE, OF_NAMES, UNFINISHED, Endpoint, of_certificates
from pytest_xinchuang.packages.sm_crypto.tls.inside import RELAY, probe_inside
from pytest_xinchuang.packages.sm_crypto.tls.judging import SM_PROTOCOLS
from pytest_xinchuang.packages.sm_crypto.tls.probe import NAMES, read_roots
from pytest_xinchuang.packages.sm_crypto.vectors import Loaded, Vector, load_directory, told_vector
from pytest_xinchuang.sandbox.circumstances import CpuVariant
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Limits, Process
from pytest_xinchuang.toolchain.builder import Builder

SESSION_LIMITS = Limits(wall_s=3600, memory_mb=2048, output_mb=1024)
"""Limits of a harness, which lives as long as the run; each request has a time-out of its own."""

TIMEOUT_S = 10.0
"""Seconds for one request on real hardware."""
EMULATED_SCALE = 6.0
"""Factor on the time-out of a request under emulation; a million SM4 blocks take some 20 s there."""


def _cpu(variant: CpuVariant, model: str) -> Message:
    """Which CPU the vectors ran on, beside the platform's own."""
    if variant is CpuVariant.POOREST:
        return _("on the CPU with the fewest features ({model})", model=model)
    return _("on a CPU with more features ({model})", model=model)


def vectors_dir() -> Path:
    """The shipped vectors."""
    return resources.fixtures_dir() / "vectors"


class SmEngine:
    """All observations of ``subject``'s harness on ``platform``, each made once, when it is first needed.

    Args:
        extra: a directory of vector files to run beside the shipped ones.
    """

    def __init__(
        self,
        platform: Platform,
        subject: Subject,
        catalogue: Catalogue,
        pool: Pool,
        builder: Builder,
        extra: Path | None = None,
    ) -> None:
        self.platform, self.subject, self.catalogue = platform, subject, catalogue
        self.pool, self.builder, self.extra = pool, builder, extra
        self._clients: dict[CpuVariant, SmClient] = {}
        self._built: dict[CpuVariant, Built] = {}

    @cached_property
    def bank(self) -> DefectBank:
        return load_bank()

    @property
    def section(self) -> SmCrypto | None:
        return self.subject.section(SmCrypto)

    def close(self) -> None:
        """End the harnesses."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    # -- decisions

    def decision(self, requirement_id: str) -> Decision:
        """The decision about one requirement; host faults become inconclusive, never the subject's failure."""
        requirement = self.catalogue.get(requirement_id)
        if requirement is None:
            return Decision(
                Verdict.INCONCLUSIVE,
                Cause.HOST,
                _("{requirement_id} is not in the catalogue", requirement_id=requirement_id),
            )
        if self.section is None:
            evidence = ({"kind": "manifest", "sm_crypto": None, "subject": self.subject.name},)
            return Decision(
                Verdict.NOT_APPLICABLE, reason=_("the manifest has no sm_crypto section"), evidence=evidence
            )
        try:
            if requirement_id == ids.HELLO:
                return self._hello().decision(self.fidelity, requirement.mend.message())
            if requirement.min_fidelity > self.fidelity:
                reason = _(
                    "needs {needed}; this sandbox is {given}",
                    needed=requirement.min_fidelity.word,
                    given=self.fidelity.word,
                )
                return Decision(Verdict.INCONCLUSIVE, Cause.FIDELITY, reason, fidelity=self.fidelity)
            check = self._checks.get(requirement_id, lambda: self._vectors(requirement_id))
            return check().decision(self.fidelity, requirement.mend.message())
        except HostFault as fault:
            return Decision(Verdict.INCONCLUSIVE, cause_of(fault), fault.what, fault.mend)
        except ProtocolError as error:
            # A harness that breaks the protocol in its hello fails XC-SM-001, which all others need.
            return Decision(Verdict.FAIL, Cause.SUBJECT, error.what, error.mend, self.fidelity)
        except XcError as error:
            return Decision(Verdict.INCONCLUSIVE, Cause.HOST, error.what, error.mend)

    @cached_property
    def _checks(self) -> dict[str, Callable[[], Found]]:
        return {
            ids.HANDSHAKE: self._handshake,
            ids.TLS_CERTIFICATES: self._tls_certificates,
            ids.CONCURRENCY: lambda: check_concurrency(self.client(), self._default),
            ids.NONCES: lambda: check_nonces(self.client()),
            ids.RANDOMNESS: lambda: check_randomness(self.client()),
            ids.PROPERTIES: self._properties,
            ids.VARIANTS: self._variants,
            ids.SURVIVES: self._survives,
            ids.TIMING: lambda: check_timing(self.client(), pairs_of_keys()),
            ids.PADDING_ORACLE: lambda: check_timing(self.client(), pairs_of_errors(), wrong=True),
            ids.THROUGHPUT: lambda: check_throughput(self.client(), self.section.floors if self.section else {}),
            ids.SELF_TEST: self._self_test,
        }

    # -- the harness

    def _launch(self, variant: CpuVariant) -> Callable[[], Process]:
        assert self.section is not None
        rootfs = self.pool.store.rootfs_for(self.platform)
        # On a poorer CPU the build for the plainest target runs: it has to find better instructions by itself.
        target = (plain_target if variant is CpuVariant.POOREST else target_for)(self.platform, rootfs)
        short = self.pool.store.platforms.file.short_of(self.platform.id)
        built = build(self.builder, self.subject, self.section.harness, target, rootfs, "", self.platform, short)
        self._built[variant] = built

        def launch() -> Process:
            sandbox = self.pool.sandbox(self.platform, variant)
            # Every time: other engines share the sandbox, and empty it.
            for path, data in built.files.items():
                sandbox.put(path, data, executable=True)
            return self._started(built, variant)

        return launch

    def _started(self, built: Built, variant: CpuVariant) -> Process:
        sandbox = self.pool.sandbox(self.platform, variant)
        return sandbox.start(built.argv, env=built.env, cwd=built.directory, limits=SESSION_LIMITS)

    def _all(self, variant: CpuVariant = CpuVariant.STRICT) -> VectorRun:
        """Every vector of the default set; where an emulator does the arithmetic, by two starts of the harness at once."""
        client = self.client(variant)
        if variant not in self._built or (os.cpu_count() or 1) < 2:
            return run_vectors(client, self._default)
        if self.pool.sandbox(self.platform, variant).fingerprint.fidelity is not Fidelity.EMULATED_USER:
            return run_vectors(client, self._default)
        _ = client.hello  # its files are in the sandbox then
        built, timeout = self._built[variant], client.timeout_s
        with SmClient(lambda: self._started(built, variant), timeout_s=timeout, start_timeout_s=timeout) as other:
            return run_beside(client, other, self._default)

    def client(self, variant: CpuVariant = CpuVariant.STRICT) -> SmClient:
        """The harness in the platform's sandbox.

        Raises:
            BuildFailed: the compiler refuses it. HostFault: the sandbox or a tool is broken.
        """
        if variant not in self._clients:
            scale = EMULATED_SCALE if self.pool.sandbox(self.platform, variant).fingerprint.emulated else 1.0
            timeout = TIMEOUT_S * scale * self.pool.timeout_scale
            self._clients[variant] = SmClient(self._launch(variant), timeout_s=timeout, start_timeout_s=timeout)
        return self._clients[variant]

    @property
    def fidelity(self) -> Fidelity:
        return self.pool.sandbox(self.platform).fingerprint.fidelity

    def _hello(self) -> Found:
        """Whether the harness starts and says a good hello."""
        found = Found()
        try:
            client = self.client()
            hello = client.hello
        except BuildFailed as error:
            found.wrong.append(_("the harness: {what}", what=error.what))
            found.evidence.append({"kind": "build", "output": error.output[-2000:]})
            return found
        except ProtocolError as error:
            found.wrong.append(error.what)
            found.mend = error.mend
            return found
        if built := self._built.get(CpuVariant.STRICT):
            found.evidence.append(made_of(self.builder, built))
        found.evidence.append({"kind": "hello", **hello.model_dump(mode="json")})
        if hints := hello_hints(hello):
            found.evidence.append({"kind": "hints", "hints": hints})
        found.wrong += [violation.what for violation in client.violations[:3]]
        return found

    # -- vectors

    @cached_property
    def loaded(self) -> list[Loaded]:
        """The shipped files, and the files of the extra directory that are about SM2, SM3 or SM4."""
        shipped = load_directory(vectors_dir())
        if self.extra is None:
            return shipped
        return shipped + [Loaded(f"{self.extra.name}:{one.name}", one.data) for one in load_directory(self.extra)]

    @cached_property
    def _default(self) -> list[Vector]:
        every = [v for one in self.loaded for v in one.vectors()]
        if unknown := sorted({v.group.type for v in every if v.group.type not in TYPES}):
            types = joined(map(verbatim, unknown), _(", "))
            raise XcError(_("vectors of a type that this suite does not know: {types}", types=types))
        return [v for v in every if not v.group.get("slow")]

    @cached_property
    def run(self) -> VectorRun:
        """Every vector of the default set, asked once."""
        return self._all()

    @cached_property
    def _causes(self) -> Causes:
        return Causes(self.run.asked)

    def _vectors(self, requirement_id: str) -> Found:
        seen = self.run.of(requirement_id)
        found = Found()
        if not seen:
            found.undecided = _("no vector tests this requirement")
            return found
        failed = sorted((s for s in seen if s.result is VectorResult.FAILED), key=lambda s: weight(s, self.bank))
        found.evidence.append(self._summary(seen, failed, self._causes))
        found.wrong += [self._told(s, self._causes) for s in failed]
        if failed:
            found.mend = self._again(requirement_id, failed[0])
        if first := next((s for s in seen if s.result is VectorResult.UNDECIDED), None):
            found.undecided = _("{vector}: {detail}", vector=first.vector.id, detail=first.detail)
            return found
        decided = [s for s in seen if s.result in (VectorResult.PASSED, VectorResult.ACCEPTABLE, VectorResult.FAILED)]
        lacks = {s.lack for s in seen if s.lack is not None}
        lacking = joined(sorted(lack.text for lack in lacks)[:3], _(", "))
        if not decided and all(lack.kind is LackKind.OPERATION for lack in lacks):
            found.lacking = _("the harness does not offer {lacking}", lacking=lacking)
            return found
        # A harness that leaves out all vectors of one kind leaves out all that could have failed.
        for result in ("valid", "invalid"):
            # Where an operation is not there at all, nothing of it could have failed.
            open_ones = [s for s in seen if s.lack is None or s.lack.kind is not LackKind.OPERATION]
            of_kind = [s for s in open_ones if s.vector.test.result == result and not s.needs_k]
            if of_kind and not any(s.result is not VectorResult.UNSUPPORTED for s in of_kind):
                told = {"n": len(of_kind), "lacking": lacking}
                found.undecided = (
                    _("the harness can be asked none of the {n} valid vectors: it does not offer {lacking}", **told)
                    if result == "valid"
                    else _(
                        "the harness can be asked none of the {n} invalid vectors: it does not offer {lacking}", **told
                    )
                )
                found.cause = Cause.SUBJECT
        if requirement_id in ids.SAMPLES.values() and not found.undecided and not decided:
            found.undecided, found.cause = (
                _("the harness can be asked none of the standard's sample values"),
                Cause.SUBJECT,
            )
        return found

    @staticmethod
    def _summary(seen: Sequence[VectorOutcome], failed: Sequence[VectorOutcome], causes: Causes) -> dict[str, Any]:
        flags: dict[str, Counter[str]] = {}
        for one in seen:
            for flag in one.vector.test.flags:
                flags.setdefault(flag, Counter())[one.result.value] += 1
        lacking = Counter(str(s.lack.text) for s in seen if s.lack is not None)
        return {
            "kind": "vectors",
            "files": sorted({s.vector.file for s in seen}),
            "results": dict(Counter(s.result.value for s in seen)),
            "flags": {flag: dict(counts) for flag, counts in sorted(flags.items())},
            "failed": [
                {
                    "vector": s.vector.id,
                    "flags": list(s.vector.test.flags),
                    "operation": s.operation,
                    "what": s.detail,
                    "cause": causes.of(s),
                }
                for s in failed[:20]
            ],
            "unsupported": dict(lacking.most_common(10)),
            # Two runs with the same results have the same digest.
            "digest": hashlib.sha256("\n".join(f"{s.vector.id} {s.result}" for s in seen).encode()).hexdigest(),
        }

    def _again(self, requirement_id: str, seen: VectorOutcome) -> Message:
        """The catalogue's mend, and the command that runs the vector again."""
        requirement = self.catalogue.get(requirement_id)
        mend = requirement.mend.message() if requirement else NOTHING
        name = seen.vector.file
        command = f"xc sm run --tc {name.rpartition(':')[2]}/{seen.vector.test.tc_id}"
        if self.extra and name.startswith(f"{self.extra.name}:"):
            command += f" --vectors {self.extra}"
        command += f" --platform {self.platform.id} --subject {self.subject.manifest.parent}"
        return _("{mend}; again: {command}", mend=mend, command=verbatim(command))

    def _told(self, seen: VectorOutcome, causes: Causes) -> Message:
        """The vector with its comment, and what went wrong: its cause, or else the meaning of its flag."""
        vector = told_vector(seen.vector)
        cause = causes.of(seen)
        detail = _("{detail} ({cause})", detail=seen.detail, cause=cause) if cause else seen.detail
        flag = self.bank.first_of(seen.vector.test.flags)
        if flag is None or causes.replaces_flag(seen):
            return _("{vector}: {detail}", vector=vector, detail=detail)
        return _("{vector} [{flag}]: {detail}", vector=vector, flag=flag.told, detail=detail)

    # -- other checks

    def _variants(self) -> Found:
        """The same vectors on CPUs with fewer and with more optional instructions."""
        found = Found()
        before = {s.vector.id: s.result for s in self.run.seen}
        for variant in (CpuVariant.POOREST, CpuVariant.SUPERSET):
            try:
                self.client(variant)
            except HostFault as missing:
                if variant is CpuVariant.POOREST:
                    raise
                found.evidence.append({"kind": "variant", "cpu": "", "why": missing.what})
                continue
            result = self._all(variant)
            model = self.pool.sandbox(self.platform, variant).fingerprint.cpu_model
            other = [s for s in result.seen if s.result is not before[s.vector.id]]
            found.evidence.append({"kind": "variant", "cpu": model, "vectors": len(before), "differ": len(other)})
            if fault := next((s for s in other if s.result is VectorResult.UNDECIDED), None):
                found.undecided = _(
                    "{cpu}: {vector}: {detail}",
                    cpu=_cpu(variant, model),
                    vector=fault.vector.id,
                    detail=fault.detail,
                )
            worse = [s for s in other if s.result is not VectorResult.UNDECIDED]
            causes = Causes(result.asked)
            found.wrong += [
                _(
                    "{cpu}: {told} (on the platform's own CPU: {result})",
                    cpu=_cpu(variant, model),
                    told=self._told(s, causes),
                    result=before[s.vector.id].word,
                )
                for s in worse
            ]
        return found

    def _properties(self) -> Found:
        with optional("sm_crypto"):  # Hypothesis takes its time to load
            from pytest_xinchuang.packages.sm_crypto.properties import check_properties

        return check_properties(self.client())

    def _survives(self) -> Found:
        found = self._vectors(ids.SURVIVES)
        for crash in self.run.crashes:
            if crash.end.kind.may_be_the_hosts:
                found.undecided = found.undecided or crash.what
            else:
                found.wrong.append(crash.what)
        return found

    # -- TLS

    @cached_property
    def _endpoint(self) -> Endpoint:
        """The protocols that the subject's server in the sandbox speaks; asked once."""
        assert self.section is not None and self.section.tls is not None
        section = self.section.tls
        rootfs = self.pool.store.rootfs_for(self.platform)
        target = target_for(self.platform, rootfs)
        short = self.pool.store.platforms.file.short_of(self.platform.id)
        built = build(self.builder, self.subject, section.server, target, rootfs, "", self.platform, short)
        relay = self.builder.c(target, [resources.fixtures_dir() / "relay" / "relay.c"])
        sandbox = self.pool.sandbox(self.platform, loopback=True)
        sandbox.reset()
        for path, data in {**built.files, RELAY: relay}.items():
            sandbox.put(path, data, executable=True)
        scale = (EMULATED_SCALE if sandbox.fingerprint.emulated else 1.0) * self.pool.timeout_scale
        roots = read_roots(self.subject.path(section.roots)) if section.roots else []
        server = sandbox.start(built.argv, env=built.env, cwd=built.directory, limits=SESSION_LIMITS)
        try:
            return probe_inside(
                sandbox, server, section.port, roots, timeout_s=TIMEOUT_S * scale, start_timeout_s=TIMEOUT_S * scale
            )
        finally:
            server.kill()

    def _tls(self) -> Found | Endpoint:
        found = Found()
        if self.section is None or self.section.tls is None:
            found.lacking = _("the manifest has no sm_crypto.tls section")
            found.evidence.append({"kind": "manifest", "tls": None})
            return found
        try:
            endpoint = self._endpoint
        except BuildFailed as error:
            found.wrong.append(_("the server: {what}", what=error.what))
            return found
        if endpoint.unreachable:
            found.wrong.append(_("the server cannot be connected to: {unreachable}", unreachable=endpoint.unreachable))
            return found
        return endpoint

    def _handshake(self) -> Found:
        endpoint = self._tls()
        if isinstance(endpoint, Found):
            return endpoint
        assert self.section is not None and self.section.tls is not None
        spoken = {s.protocol: s.suite for s in endpoint.spoken}
        seen = {"spoken": spoken, "refused": dict(endpoint.refused), "undecided": dict(endpoint.unknown)}
        codes = {s.protocol: sorted({f.code for f in s.findings}) for s in endpoint.spoken}
        found = Found([{"kind": "tls", **seen, "findings": codes}])
        for name in self.section.tls.expect:
            protocol = NAMES[name]
            if protocol in endpoint.unknown:
                why = endpoint.unknown[protocol]
                found.undecided = _("whether {protocol} is spoken is not known: {why}", protocol=protocol, why=why)
            elif protocol not in spoken:
                why = endpoint.refused.get(protocol, NOTHING)
                found.wrong.append(_("{protocol} is expected, and not spoken: {why}", protocol=protocol, why=why))
        for one in endpoint.spoken:
            found.wrong += one.texts(f for f in one.failing if f.code in HANDSHAKE)
            unfinished = [f for f in one.findings if f.code == UNFINISHED and f not in one.failing]
            if unfinished and one.protocol in {NAMES[name] for name in self.section.tls.expect}:
                found.undecided = found.undecided or one.texts(unfinished)[0]
        return found

    def _tls_certificates(self) -> Found:
        endpoint = self._tls()
        if isinstance(endpoint, Found):
            return endpoint
        found = Found()
        for spoken in endpoint.spoken:
            seen = {"protocol": spoken.protocol, "certificates": len(spoken.certificates), "notes": spoken.notes}
            codes = sorted({f.code for f in spoken.findings})
            found.evidence.append({"kind": "tls", **seen, "problems": spoken.all_problems, "findings": codes})
            if spoken.protocol not in SM_PROTOCOLS:
                continue
            # In the sandbox the server has no name; whose its two certificates are is for an assessor to say.
            judged = [f for f in spoken.findings if of_certificates(f.code) and f.code not in OF_NAMES]
            for text, finding in zip(spoken.texts(judged), judged, strict=True):
                about = _("{protocol}: {problem}", protocol=spoken.protocol, problem=text)
                if finding in spoken.failing:
                    found.wrong.append(about)
                elif finding.certainty is Certainty.UNDECIDED:
                    found.undecided = about
        if not any(s.protocol in SM_PROTOCOLS for s in endpoint.spoken) and not found.wrong:
            found.evidence.append(
                {"kind": "tls", "refused": dict(endpoint.refused), "undecided": dict(endpoint.unknown)}
            )
            for name in SM_PROTOCOLS:
                if name in endpoint.unknown:
                    why = endpoint.unknown[name]
                    found.undecided = _("whether {protocol} is spoken is not known: {why}", protocol=name, why=why)
                    return found
            found.lacking = _("the server speaks no protocol with SM2 certificates")
        return found

    def _self_test(self) -> Found:
        found, client = Found(), self.client()
        if "self_test" not in client.hello.operations:
            found.lacking = _("the harness has no operation `self_test`")
            found.evidence.append({"kind": "hello", "operations": sorted(client.hello.operations)})
            return found
        answer = client.ask({"op": "self_test"})
        found.evidence.append({"kind": "self_test", "reply": dict(answer.reply)})
        if answer.reply.get("passed") is not True:
            found.wrong.append(_("the self-test did not pass: {why}", why=answer.detail or dict(answer.reply)))
        return found
