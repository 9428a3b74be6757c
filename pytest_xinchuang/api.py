"""All that vendors, laboratories and packages of third parties may import; everything else may move.

Fixtures, markers, hooks and options need no import; see the documentation.
"""

from pytest_xinchuang.commands.common import Commands, Context, Exit
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.core.errors import BuildFailed, HostFault, SandboxFault, ToolchainFault, XcError
from pytest_xinchuang.core.found import Found
from pytest_xinchuang.core.grade import Grade, ReportPart, RunResult
from pytest_xinchuang.core.platform import Arch, Platform, Platforms
from pytest_xinchuang.core.requirement import Catalogue, Requirement
from pytest_xinchuang.core.result import RequirementResult
from pytest_xinchuang.core.subject import Section, Subject, Unit
from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Level, Verdict
from pytest_xinchuang.messages import Message, _, both, joined, n_, verbatim
from pytest_xinchuang.packages.base import N_, Package
from pytest_xinchuang.packages.option import PackageOption
from pytest_xinchuang.packages.protocol import ConformancePackage, Engine, RunContext
from pytest_xinchuang.run.handles import Evidence, RecordingSandbox, Toolchain
from pytest_xinchuang.sandbox.protocol import Ended, Limits, Outcome, Process, Sandbox

__all__ = [
    "N_",
    "Arch",
    "BuildFailed",
    "Catalogue",
    "Cause",
    "Commands",
    "ConformancePackage",
    "Context",
    "Decision",
    "Ended",
    "Engine",
    "Evidence",
    "Exit",
    "Fidelity",
    "Found",
    "Grade",
    "HostFault",
    "Level",
    "Limits",
    "Message",
    "Outcome",
    "Package",
    "PackageOption",
    "Platform",
    "Platforms",
    "Process",
    "RecordingSandbox",
    "ReportPart",
    "Requirement",
    "RequirementResult",
    "RunContext",
    "RunResult",
    "Sandbox",
    "SandboxFault",
    "Section",
    "Subject",
    "Toolchain",
    "ToolchainFault",
    "Unit",
    "Verdict",
    "XcError",
    "XcParser",
    "_",
    "both",
    "joined",
    "n_",
    "verbatim",
]
