"""What the sandboxes ask for: this emulator, that root filesystem, made on first use."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pytest_xinchuang.core.errors import DataFileError, HostFault, Lacking, XcError
from pytest_xinchuang.core.near import near
from pytest_xinchuang.core.platform import KernelRecipe, Platform, Platforms, RootfsRecipe
from pytest_xinchuang.core.requirement import Text
from pytest_xinchuang.messages import NOTHING, Message, _, joined, verbatim
from pytest_xinchuang.provision import kernels, mmdebstrap, vendors
from pytest_xinchuang.provision.archive import pack, unpack
from pytest_xinchuang.provision.cache import IMPORTED, VENDOR, Cache, Entry, tree_digest
from pytest_xinchuang.provision.progress import Progress
from pytest_xinchuang.provision.refs import (
    MARKER,
    MARKER_OFFSET,
    SANDBOX_HOST_UID,
    EmulatorRef,
    KernelRef,
    RootfsRef,
    SystemEmulatorRef,
)
from pytest_xinchuang.tools.process import Runner


class Store:
    """Emulators and root filesystems by name.

    All methods raise HostFault when something is missing and cannot be made here.
    """

    def __init__(
        self,
        platforms: Platforms,
        cache: Cache | None = None,
        progress: Progress | None = None,
        *,
        offline: bool = False,
        packages: tuple[str, ...] = (),
        runner: Runner | None = None,
    ) -> None:
        self.runner = runner or Runner()
        self.packages = packages
        """What stand-in root filesystems get besides their own packages."""
        self.platforms = platforms
        self.offline = offline
        self.cache = cache or Cache()
        self.progress = progress or Progress(quiet=True)

    def emulator(self, program: str, *, force: bool = False) -> EmulatorRef:
        """A static qemu-user program, e.g. ``qemu-aarch64``."""
        entry = self._make(
            "emulator",
            f"qemu-{mmdebstrap.host_architecture()}",
            f"2 {mmdebstrap.EMULATOR_SUITE} {' '.join(mmdebstrap.EMULATORS)}",
            lambda tree: mmdebstrap.build_emulators(self.cache, tree, MARKER, MARKER_OFFSET, self.runner),
            force=force,
        )
        path = self.cache.tree("emulator", entry.name) / program
        digest = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
        return EmulatorRef(path, digest, f"{program} {entry.facts.get('version', '')}".strip())

    def rootfs_for(self, platform: Platform, *, force: bool = False) -> RootfsRef:
        """The root filesystem of a platform: the vendor's if one was imported, else the nearest stand-in."""
        imported = self.cache.verified("rootfs", f"{VENDOR}{platform.id}", IMPORTED)
        if imported is not None:
            tree = self.cache.tree("rootfs", imported.name)
            facts = imported.facts if "machine" in imported.facts else mmdebstrap.read_facts(tree)
            if others := vendors.disagreements(platform, tree, facts):
                raise HostFault(
                    _(
                        "the imported root filesystem of {id} is not that platform's: {why}",
                        id=platform.id,
                        why=joined(others),
                    ),
                    mend=verbatim(f"xc rootfs import {platform.id} TARBALL"),
                )
            return self._ref(imported, platform)
        if self.cache.holds("rootfs", f"{VENDOR}{platform.id}"):
            raise HostFault(
                _(
                    "the imported root filesystem of {id} is not what was imported: its digest has changed",
                    id=platform.id,
                ),
                mend=verbatim(f"xc rootfs import {platform.id} TARBALL"),
            )
        name = platform.rootfs_name
        if name is None:
            if platform.world == "old":
                what = _(
                    "{platform} has no stand-in root filesystem: "
                    "qemu-user is a new-world kernel and cannot judge old-world programs",
                    platform=platform.id,
                )
            else:
                what = _("{platform} has no stand-in root filesystem", platform=platform.id)
            mend = _(
                "xc rootfs import {platform} TARBALL, and run it on a board or under a real kernel",
                platform=platform.id,
            )
            raise HostFault(what, mend=mend, lacking=Lacking.STAND_IN)
        return self._ref(self._make_rootfs(name, force=force), platform)

    @property
    def _system_emulator(self) -> str:
        return f"qemu-system-{mmdebstrap.host_architecture()}"

    def system_emulator(self, *, force: bool = False) -> SystemEmulatorRef:
        """qemu-system with its libraries and firmware."""
        entry = self._make(
            "system-emulator",
            self._system_emulator,
            f"1 {mmdebstrap.EMULATOR_SUITE} {' '.join(kernels.PROGRAMS)}",
            lambda tree: kernels.build_system_emulator(self.cache, tree, self.runner),
            force=force,
        )
        version = f"qemu-system {entry.facts.get('version', '')}".strip()
        return SystemEmulatorRef(self.cache.tree("system-emulator", entry.name), entry.digest, version)

    def has_system(self, platform: Platform) -> bool:
        """Whether a kernel of the platform's architecture, and what it runs on, have been provisioned."""
        recipes = [n for n, r in self.platforms.file.kernels.items() if r.arch is platform.arch]
        return self.cache.peek("system-emulator", self._system_emulator) is not None and any(
            self.cache.peek("kernel", name) is not None for name in (f"{VENDOR}{platform.id}", *recipes)
        )

    def kernel_for(self, platform: Platform) -> KernelRef:
        """The kernel of a platform: the vendor's if one was imported, else the stand-in that is nearest by page size."""
        imported = self.cache.verified("kernel", f"{VENDOR}{platform.id}", IMPORTED)
        if imported is not None:
            return self._kernel_ref(imported)
        if self.cache.holds("kernel", f"{VENDOR}{platform.id}"):
            raise HostFault(
                _("the imported kernel of {id} is not what was imported: its digest has changed", id=platform.id),
                mend=verbatim(f"xc kernel import {platform.id} FILE"),
            )
        recipes = {n: r for n, r in self.platforms.file.kernels.items() if r.arch is platform.arch}
        if not recipes:
            raise HostFault(
                _("platforms.yaml has no kernel for {arch}", arch=platform.arch),
                mend=verbatim(f"xc kernel import {platform.id} FILE"),
            )
        wanted = platform.page_size.value if platform.page_size else None
        return self.kernel(next((n for n, r in recipes.items() if r.page_size == wanted), next(iter(recipes))))

    def kernel(self, name: str, *, force: bool = False) -> KernelRef:
        """A stand-in kernel by its own name.

        Raises:
            XcError: there is none of that name.
        """
        recipe = self.platforms.file.kernels.get(name)
        if recipe is None:
            raise XcError(
                _(
                    "unknown kernel {name}{hint}; there are {known}",
                    name=verbatim(repr(name)),
                    hint=near(name, self.platforms.file.kernels),
                    known=joined(map(verbatim, self.platforms.file.kernels), _(", ")),
                ),
                mend=verbatim("xc kernel list"),
            )
        # What it runs on is no part of what it is made of.
        made_of = "3 " + recipe.model_dump_json(include={"suite", "arch", "package", "expired_release"})
        entry = self._make(
            "kernel",
            name,
            made_of,
            lambda tree: kernels.build_kernel(self.cache, recipe, tree, self.runner),
            force=force,
        )
        return self._kernel_ref(entry, recipe)

    def _kernel_ref(self, entry: Entry, recipe: KernelRecipe | None = None) -> KernelRef:
        tree = self.cache.tree("kernel", entry.name)
        return KernelRef(
            name=entry.name,
            image=tree / "vmlinuz",
            digest=entry.digest,
            release=entry.facts.get("release", ""),
            page_size=recipe.page_size if recipe else None,
            stand_in=entry.stand_in,
            cpu=recipe.cpu if recipe else "",
            why=_told(recipe.why) if recipe else NOTHING,
            modules=tuple(sorted((tree / "modules").glob("*.ko"))),
            disk_modules=tuple(sorted((tree / "disk").glob("*.ko"))),
        )

    def import_kernel(self, platform: Platform, kernel: Path, modules: Sequence[Path] = ()) -> Entry:
        """Take a lab's kernel for ``platform``, with the modules that its virtio needs, in the order of loading."""

        def build(tree: Path) -> tuple[str, dict[str, str]]:
            return kernels.import_kernel(kernel, modules, tree)

        return self.cache.make("kernel", f"{VENDOR}{platform.id}", IMPORTED, build, stand_in=False, force=True)

    def ensure(self, platform: Platform) -> None:
        """Make what ``platform`` runs on where it is missing altogether; what is there is verified when it is used."""
        name = platform.rootfs_name
        if name is not None and self.cache.peek("rootfs", self._entry_name(name)) is None:
            self.rootfs_for(platform)
        if self.cache.peek("emulator", f"qemu-{mmdebstrap.host_architecture()}") is None:
            self.emulator(platform.architecture.qemu)

    def rootfs(self, name: str, *, force: bool = False) -> RootfsRef:
        """A root filesystem by its own name, e.g. for the reference runs."""
        return self._ref(self._make_rootfs(name, force=force), None)

    def _make_rootfs(self, name: str, *, force: bool = False) -> Entry:
        recipe = self.platforms.file.rootfs[name]
        if self.packages:
            recipe = recipe.model_copy(update={"packages": (*recipe.packages, *self.packages)})

        def build(tree: Path) -> tuple[str, dict[str, str]]:
            source, facts = mmdebstrap.build_rootfs(self.cache, recipe, tree, self.runner)
            _give_to_sandbox_user(tree)
            return source, facts

        return self._make("rootfs", self._entry_name(name), _recipe_digest(recipe), build, force=force)

    def _entry_name(self, name: str) -> str:
        if not self.packages:
            return name
        return f"{name}+{hashlib.sha256(' '.join(self.packages).encode()).hexdigest()[:8]}"

    def _make(self, kind: str, name: str, recipe: str, build: mmdebstrap.Builder, *, force: bool) -> Entry:
        with self.progress.step(f"{kind} {name}") as step:

            def made(tree: Path) -> tuple[str, dict[str, str]]:
                if self.offline:
                    raise HostFault(
                        _("{kind} {name} is not in the cache {root}", kind=kind, name=name, root=self.cache.root),
                        mend=verbatim("xc provision"),
                    )
                step.starts()
                return build(tree)

            return self.cache.make(kind, name, recipe, made, force=force, on_wait=step.waits)

    def _ref(self, entry: Entry, platform: Platform | None) -> RootfsRef:
        differs: list[Message] = []
        if platform is not None and entry.stand_in:
            system = platform.system
            for label, theirs, ours in (
                ("glibc", system.libc_version.value, entry.facts.get("libc")),
                ("OpenSSL", system.openssl.value, entry.facts.get("openssl")),
            ):
                if theirs != ours:
                    unknown = _("an unknown version")
                    told = _(
                        "{name} {ours} instead of {theirs}", name=label, ours=ours or unknown, theirs=theirs or unknown
                    )
                    differs.append(told)
            here = verbatim(entry.facts.get("name", entry.source))
            differs.append(_("{here} instead of {system}", here=here, system=system.title.message()))
            if self.packages:
                packages = joined(map(verbatim, self.packages), _(", "))
                differs.append(_("with {packages}, as the manifest asks", packages=packages))
        tree = self.cache.tree("rootfs", entry.name)
        owner, wanted = tree.stat().st_uid, os.geteuid() or SANDBOX_HOST_UID
        if owner != wanted:
            raise HostFault(
                _(
                    "the root filesystem {tree} belongs to user {owner}, and sandboxes need user {wanted} to own it",
                    tree=verbatim(str(tree)),
                    owner=owner,
                    wanted=wanted,
                ),
                mend=verbatim("xc provision --force"),
            )
        return RootfsRef(
            name=entry.name,
            path=tree,
            digest=entry.digest,
            libc_version=entry.facts.get("libc", ""),
            stand_in=entry.stand_in,
            differs=tuple(differs),
        )

    # -- air-gapped labs

    def export(self, directory: Path) -> list[str]:
        """Write every entry to ``directory`` as a tar archive with an index; returns the names."""
        directory.mkdir(parents=True, exist_ok=True)
        index = []
        for entry in self.cache.entries():
            archive = f"{entry.kind}-{entry.name}.tar"
            pack(self.cache.tree(entry.kind, entry.name), directory / f".{archive}.part")
            (directory / f".{archive}.part").rename(directory / archive)
            index.append({"archive": archive, "entry": asdict(entry)})
        part = directory / ".index.json.part"
        part.write_text(json.dumps({"schema": "xc-provision/1", "entries": index}, indent=1))
        part.rename(directory / "index.json")
        return [item["archive"] for item in index]  # type: ignore[misc]

    def import_export(self, directory: Path) -> list[str]:
        """Take in what ``export`` wrote; every tree must have the digest that the index says."""
        try:
            data = json.loads((directory / "index.json").read_text(encoding="utf-8"))
            if data["schema"] != "xc-provision/1":
                raise ValueError(f"schema {data['schema']!r}")
            wanted = [(directory / item["archive"], Entry(**item["entry"])) for item in data["entries"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataFileError(
                _("{directory}/index.json: not an export: {why}", directory=directory, why=error),
                mend=_("xc provision --export DIR, on a machine with network"),
            ) from error
        for archive, entry in wanted:
            if not entry.says_what_it_is:
                raise DataFileError(
                    _(
                        "{directory}/index.json: {name} says that it is what its name and recipe deny",
                        directory=directory,
                        name=verbatim(repr(entry.name)),
                    )
                )

            def build(tree: Path, archive: Path = archive, entry: Entry = entry) -> tuple[str, dict[str, str]]:
                unpack(archive, tree)
                found = tree_digest(tree)
                if found != entry.digest:
                    raise DataFileError(
                        _(
                            "{archive}: its tree has digest {found}, the index says {digest}",
                            archive=archive,
                            found=found,
                            digest=entry.digest,
                        )
                    )
                if entry.kind == "rootfs":
                    _give_to_sandbox_user(tree)
                return entry.source, entry.facts

            self.cache.make(entry.kind, entry.name, entry.recipe, build, stand_in=entry.stand_in)
        return [entry.name for _rest, entry in wanted]

    def import_rootfs(self, platform: Platform, tarball: Path) -> Entry:
        """Take a vendor's root filesystem for ``platform`` from a tar archive."""

        def build(tree: Path) -> tuple[str, dict[str, str]]:
            unpack(tarball, tree)
            facts = mmdebstrap.read_facts(tree)
            if "libc" not in facts and platform.system.libc == "glibc":
                raise DataFileError(
                    _(
                        "{tarball}: no libc.so.6 in it: not a root filesystem of {en}",
                        tarball=tarball,
                        en=platform.system.title.en,
                    )
                )
            if others := vendors.disagreements(platform, tree, facts):
                raise DataFileError(
                    _(
                        "{tarball}: not a root filesystem of {platform}: {why}",
                        tarball=tarball,
                        platform=platform.id,
                        why=joined(others),
                    ),
                    mend=_("if the platform is described wrongly, correct it in a file of your own: --platforms-file"),
                )
            for name in ("proc", "dev", "sys", "run", "xc", ".xc", "tmp"):
                (tree / name).mkdir(exist_ok=True)
            _give_to_sandbox_user(tree)
            return f"imported from {tarball.name}", facts

        return self.cache.make("rootfs", f"{VENDOR}{platform.id}", IMPORTED, build, stand_in=False, force=True)


def _told(text: str | Text) -> Message:
    return text.message() if isinstance(text, Text) else verbatim(text)


def _recipe_digest(recipe: RootfsRecipe) -> str:
    return "6 " + hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()


def _give_to_sandbox_user(tree: Path) -> None:
    """As root, hand the tree to the id that target code is mapped to, so that its private layer can change it."""
    if os.geteuid() != 0:
        return
    for directory, names, files in os.walk(tree):
        for name in names + files:
            os.chown(Path(directory) / name, SANDBOX_HOST_UID, SANDBOX_HOST_UID, follow_symlinks=False)
    os.chown(tree, SANDBOX_HOST_UID, SANDBOX_HOST_UID)
