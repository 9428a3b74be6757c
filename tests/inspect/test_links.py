"""Libraries that are delivered under another name than the one they are needed by."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import Builder
from tests.mutants.porting.tools import Tools
from tests.tiers import starts_programs

NAME, FILE = "libanswer.so.1", "libanswer.so.1.0.0"


@pytest.fixture
@starts_programs
def tools(tmp_path: Path, platforms: Platforms) -> Tools:
    return Tools(tmp_path, platforms, Builder(Cache()))


@pytest.fixture
def library(tools: Tools) -> bytes:
    return tools.c(Arch.ARM64, "int answer(void) { return 42; }\n", f"-Wl,-soname,{NAME}", shared=True)


@pytest.fixture
def program(tools: Tools, library: bytes) -> bytes:
    return tools.c(Arch.ARM64, "int answer(void);\nint main(void) { return answer(); }\n", stubs={NAME: library})


@pytest.fixture
def plugin(tools: Tools, library: bytes) -> bytes:
    text = "int answer(void);\nint more(void) { return answer(); }\n"
    return tools.c(Arch.ARM64, text, shared=True, stubs={NAME: library})


def named(path: Path, platforms: Platforms) -> list[Certainty]:
    findings = Verdicts(platforms.get("kunpeng"), platforms.file.architectures).of(Inspector(isa=False).read(path))
    return [f.certainty for f in findings if f.code == "XC-ELF-044"]


def tree(tools: Tools, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    root = tools.where / f"tree{len(list(tools.where.iterdir()))}"
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    for name, target in (links or {}).items():
        (root / name).symlink_to(target)
    return root


def test_under_its_name_or_by_a_link(tools: Tools, program: bytes, library: bytes, platforms: Platforms) -> None:
    assert named(tree(tools, {"bin/app": program, f"lib/{NAME}": library}), platforms) == []
    linked = tree(tools, {"bin/app": program, f"lib/{FILE}": library}, {f"lib/{NAME}": FILE})
    assert named(linked, platforms) == []
    assert named(tree(tools, {"bin/app": program}), platforms) == []  # the system's, perhaps
    absolute = tree(tools, {"bin/app": program, f"lib/{FILE}": library}, {f"lib/{NAME}": "/etc/alternatives/answer"})
    assert named(absolute, platforms) == []


def test_a_link_that_was_lost(
    tools: Tools, program: bytes, plugin: bytes, library: bytes, platforms: Platforms
) -> None:
    assert named(tree(tools, {"bin/app": program, f"lib/{FILE}": library}), platforms) == [Certainty.CERTAIN]
    assert named(tools.zip("a.zip", {"bin/app": program, f"lib/{FILE}": library}), platforms) == [Certainty.CERTAIN]
    # Who loads the plugin may have loaded the library by its path.
    assert named(tree(tools, {"lib/plugin.so": plugin, f"lib/{FILE}": library}), platforms) == [Certainty.GUARDED]


def test_a_link_that_became_a_text_or_leads_nowhere(
    tools: Tools, program: bytes, library: bytes, platforms: Platforms
) -> None:
    text = {"bin/app": program, f"lib/{FILE}": library, f"lib/{NAME}": FILE.encode()}
    assert named(tree(tools, text), platforms) == [Certainty.CERTAIN]
    assert named(tree(tools, {"bin/app": program}, {f"bin/{NAME}": "gone.so"}), platforms) == [Certainty.CERTAIN]
    circle = tree(tools, {"bin/app": program}, {f"bin/{NAME}": "b.so", "bin/b.so": NAME})
    assert named(circle, platforms) == [Certainty.CERTAIN]


def test_a_packages_link_is_made_by_ldconfig(
    tools: Tools, program: bytes, library: bytes, platforms: Platforms
) -> None:
    control = "Package: a\nVersion: 1\nArchitecture: arm64\n"
    system = {"./usr/bin/app": program, f"./usr/lib/aarch64-linux-gnu/{FILE}": library}
    assert named(tools.deb("a.deb", control, system), platforms) == []
    private = {"./opt/a/bin/app": program, f"./opt/a/lib/{FILE}": library}
    assert named(tools.deb("b.deb", control, private), platforms) == [Certainty.CERTAIN]
