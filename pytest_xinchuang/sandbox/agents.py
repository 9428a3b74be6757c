"""The agent as a program for each architecture: the one that comes with the package, else one that is built of its source.

It is the first process of containers and machines, and takes calls down natively. Who has no tool chain needs it too, so it
comes built. ``scripts/prebuilt check`` builds it again, byte for byte.
"""

from __future__ import annotations

from pathlib import Path

from pytest_xinchuang.core.platform import Arch, Architecture
from pytest_xinchuang.messages import _
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.sandbox.agent_client import AGENT_SOURCE
from pytest_xinchuang.toolchain.builder import Builder, Target
from pytest_xinchuang.toolchain.prebuilt import Prebuilt
from pytest_xinchuang.tools.process import Runner

BUILT = Path(__file__).with_name("prebuilt")


def programs() -> Prebuilt:
    """The agents that come with the package, by architecture."""
    sources = [path for path in AGENT_SOURCE.iterdir() if path.suffix == ".go" or path.name == "go.mod"]
    return Prebuilt(BUILT, sources, "agents.json", _("the agent for"))


def agent(cache: Cache, runner: Runner, arch: Arch, architecture: Architecture) -> bytes:
    """The agent for an architecture.

    Raises:
        HostFault: the one that comes with the package is damaged; or its source was changed, and does not build here.
    """
    found = programs().shipped(arch.value)
    return found if found is not None else built(Builder(cache, runner=runner), arch, architecture)


def built(builder: Builder, arch: Arch, architecture: Architecture) -> bytes:
    """The agent, built of its source."""
    return builder.go(Target(arch, architecture, architecture.libc_base), AGENT_SOURCE)
