"""What the sandboxes ask for: this emulator, that root filesystem, made on first use."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pytest_xinchuang.core.elsewhere import demand_linux
from pytest_xinchuang.core.errors import DataFileError, HostFault, Lacking, XcError
from pytest_xinchuang.core.near import near
from pytest_xinchuang.core.platform import KernelRecipe, Platform, Platforms, RootfsRecipe
from pytest_xinchuang.core.requirement import Text
from pytest_xinchuang.messages import NOTHING, Message, _, joined, verbatim
from pytest_xinchuang.provision import emulators, kernels, rootfs, vendors
from pytest_xinchuang.provision.archive import unpack
from pytest_xinchuang.provision.cache import IMPORTED, VENDOR, Cache, Entry
from pytest_xinchuang.provision.pins import host_architecture
from pytest_xinchuang.provision.progress import Progress
from pytest_xinchuang.provision.refs import (
    SANDBOX_HOST_UID,
    EmulatorRef,
    KernelRef,
    RootfsRef,
    SystemEmulatorRef,
)
from pytest_xinchuang.provision.supply import Supply
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
        supply: Supply | None = None,
    ) -> None:
        self.runner = runner or Runner()
        self.packages = packages
        """What stand-in root filesystems get besides their own packages."""
        self.platforms = platforms
        self.offline = offline
        self.cache = cache or Cache()
        below = self.cache.below
        self.supply = supply or Supply(
            self.cache.root / "packages", below=below / "packages" if below is not None else None
        )
        self.progress = progress or Progress(quiet=True)

    def emulator(self, program: str, *, force: bool = False) -> EmulatorRef:
        """A static qemu-user program, e.g. ``qemu-aarch64``."""
        entry = self.make_emulator(force=force)
        path = self.cache.tree("emulator", entry.name) / program
        digest = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
        return EmulatorRef(path, digest, f"{program} {entry.facts.get('version', '')}".strip())

    def make_emulator(self, *, force: bool = False) -> Entry:
        """The entry of the static emulators."""
        name = f"qemu-{host_architecture()}"

        def build(tree: Path) -> tuple[str, dict[str, str]]:
            return emulators.build_emulators(self.supply, name, tree, self.runner)

        return self._make("emulator", name, self.made_of("emulator", name), build, force=force)

    def made_of(self, kind: str, name: str) -> str:
        """What an entry is made of, as one word: another one makes it stale.

        Raises:
            KeyError: nothing of that name is made here.
        """
        match kind:
            case "rootfs":
                rootfs_recipe = self._rootfs_recipe(name)
                asked = rootfs_recipe.packages
                packages = self.supply.recipe(kind, name, rootfs_recipe.suite, rootfs_recipe.arch, asked)
                return f"7 {_digest(rootfs_recipe)} {packages}"
            case "kernel" | "disk-modules":
                # What it runs on is no part of what it is made of.
                recipe = self.platforms.file.kernels[name]
                packages = self.supply.recipe("kernel", name, recipe.suite, recipe.arch, (recipe.package,))
                return f"3 {recipe.package} {packages}"
            case "emulator":
                return f"3 {self.supply.pins.named(kind, name).digest} {' '.join(emulators.PROGRAMS)}"
            case "system-emulator":
                return f"2 {self.supply.pins.named(kind, name).digest} {' '.join(emulators.SYSTEM_PROGRAMS)}"
        raise KeyError(kind)

    def _rootfs_recipe(self, name: str) -> RootfsRecipe:
        recipe = self.platforms.file.rootfs[name]
        if self.packages:
            recipe = recipe.model_copy(update={"packages": (*recipe.packages, *self.packages)})
        return recipe

    def rootfs_for(self, platform: Platform, *, force: bool = False) -> RootfsRef:
        """The root filesystem of a platform: the vendor's if one was imported, else the nearest stand-in."""
        imported = self.cache.verified("rootfs", f"{VENDOR}{platform.id}", IMPORTED)
        if imported is not None:
            tree = self.cache.tree("rootfs", imported.name)
            facts = imported.facts if "machine" in imported.facts else rootfs.read_facts(tree)
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
        return self._ref(self.make_rootfs(name, force=force), platform)

    @property
    def _system_emulator(self) -> str:
        return f"qemu-system-{host_architecture()}"

    def system_emulator(self, *, force: bool = False) -> SystemEmulatorRef:
        """qemu-system with its libraries and firmware."""
        entry = self.make_system_emulator(force=force)
        version = f"qemu-system {entry.facts.get('version', '')}".strip()
        return SystemEmulatorRef(self.cache.tree("system-emulator", entry.name), entry.digest, version)

    def make_system_emulator(self, *, force: bool = False) -> Entry:
        """The entry of qemu-system."""
        name = self._system_emulator

        def build(tree: Path) -> tuple[str, dict[str, str]]:
            return emulators.build_system_emulator(self.supply, name, tree, self.runner)

        return self._make("system-emulator", name, self.made_of("system-emulator", name), build, force=force)

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
        return self._kernel_ref(self.make_kernel(name, force=force), recipe)

    def make_kernel(self, name: str, *, force: bool = False) -> Entry:
        """The entry of a stand-in kernel."""
        recipe = self.platforms.file.kernels[name]

        def build(tree: Path) -> tuple[str, dict[str, str]]:
            return kernels.build_kernel(self.supply, name, recipe, tree)

        return self._make("kernel", name, self.made_of("kernel", name), build, force=force)

    def disk_modules(self, kernel: KernelRef) -> tuple[Path, ...]:
        """The modules that a kernel needs for an NVMe disk with an ext4 file system, in the order in which they are loaded.

        None for a vendor's kernel: what it needs comes with it.
        """
        recipe = self.platforms.file.kernels.get(kernel.name)
        if recipe is None:
            return ()

        def build(tree: Path) -> tuple[str, dict[str, str]]:
            return kernels.build_disk_modules(self.supply, kernel.name, recipe, tree)

        entry = self._make("disk-modules", kernel.name, self.made_of("disk-modules", kernel.name), build, force=False)
        return tuple(sorted(self.cache.tree("disk-modules", entry.name).glob("*.ko")))

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
        )

    def import_kernel(self, platform: Platform, kernel: Path, modules: Sequence[Path] = ()) -> Entry:
        """Take a lab's kernel for ``platform``, with the modules that its virtio needs, in the order of loading."""

        def build(tree: Path) -> tuple[str, dict[str, str]]:
            return kernels.import_kernel(kernel, modules, tree)

        return self.cache.make("kernel", f"{VENDOR}{platform.id}", IMPORTED, build, stand_in=False, force=True)

    def ensure(self, platform: Platform) -> None:
        """Make what ``platform`` runs on where it is missing altogether; what is there is verified when it is used."""
        missing: list[Callable[[], object]] = []
        if self.cache.peek("emulator", f"qemu-{host_architecture()}") is None:
            missing.append(functools.partial(self.emulator, platform.architecture.qemu))
        name = platform.rootfs_name
        if name is not None and self.cache.peek("rootfs", self._entry_name(name)) is None:
            missing.append(functools.partial(self.rootfs_for, platform))
        with ThreadPoolExecutor(2) as pool:
            doing = [pool.submit(step) for step in missing]
        for each in doing:
            each.result()

    @property
    def reference_digest(self) -> str:
        """The pinned digest of the root filesystem of the x86-64 runs; "": it has a subject's packages, and is not pinned."""
        name = self.platforms.file.reference
        return "" if name is None or self.packages else self.supply.pins.trees.get(("rootfs", name), "")

    def rootfs(self, name: str, *, force: bool = False) -> RootfsRef:
        """A root filesystem by its own name, e.g. for the reference runs."""
        return self._ref(self.make_rootfs(name, force=force), None)

    def make_rootfs(self, name: str, *, force: bool = False) -> Entry:
        """The entry of a stand-in root filesystem."""
        recipe, entry_name, made_of = self._rootfs_recipe(name), self._entry_name(name), self.made_of("rootfs", name)

        def build(tree: Path) -> tuple[str, dict[str, str]]:
            # One that another user has made is whole, and cannot be changed by sandboxes of ours: a copy of it can.
            whole = None if force else self.cache.verified("rootfs", entry_name, made_of)
            if whole is not None:
                shutil.copytree(self.cache.tree("rootfs", entry_name), tree, symlinks=True, dirs_exist_ok=True)
                source, facts = whole.source, whole.facts
            else:
                source, facts = rootfs.build_rootfs(self.supply, name, recipe, tree)
            give_to_sandbox_user(tree)
            return source, facts

        return self._make("rootfs", entry_name, made_of, build, force=force, fits=_is_ours)

    def _entry_name(self, name: str) -> str:
        if not self.packages:
            return name
        return f"{name}+{hashlib.sha256(' '.join(self.packages).encode()).hexdigest()[:8]}"

    def _make(
        self,
        kind: str,
        name: str,
        recipe: str,
        build: emulators.Builder,
        *,
        force: bool,
        fits: Callable[[Path], bool] = lambda _tree: True,
    ) -> Entry:
        demand_linux(_("a sandbox"))
        with self.progress.step(f"{kind} {name}") as step:

            def made(tree: Path) -> tuple[str, dict[str, str]]:
                if self.offline and self.cache.verified(kind, name, recipe) is None:
                    raise HostFault(
                        _("{kind} {name} is not in the cache {root}", kind=kind, name=name, root=self.cache.root),
                        mend=verbatim("xc provision"),
                    )
                step.starts()
                return build(tree)

            return self.cache.make(kind, name, recipe, made, force=force, on_wait=step.waits, fits=fits)

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
        if not _is_ours(tree):
            owner, wanted = tree.stat().st_uid, _sandbox_uid()
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

    def import_rootfs(self, platform: Platform, tarball: Path) -> Entry:
        """Take a vendor's root filesystem for ``platform`` from a tar archive."""

        def build(tree: Path) -> tuple[str, dict[str, str]]:
            unpack(tarball, tree)
            facts = rootfs.read_facts(tree)
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
            rootfs.make_directories(tree)
            give_to_sandbox_user(tree)
            return f"imported from {tarball.name}", facts

        return self.cache.make("rootfs", f"{VENDOR}{platform.id}", IMPORTED, build, stand_in=False, force=True)


def _told(text: str | Text) -> Message:
    return text.message() if isinstance(text, Text) else verbatim(text)


def _digest(recipe: RootfsRecipe) -> str:
    made_of = recipe.model_dump_json(exclude={"expired_release"})  # it is for those who ask an archive for what is new
    return hashlib.sha256(made_of.encode()).hexdigest()


def _sandbox_uid() -> int:
    """Who has to own a tree that sandboxes change."""
    return os.geteuid() or SANDBOX_HOST_UID


def _is_ours(tree: Path) -> bool:
    return tree.stat().st_uid == _sandbox_uid()


def give_to_sandbox_user(tree: Path) -> None:
    """As root, hand the tree to the id that target code is mapped to, so that its private layer can change it."""
    if os.geteuid() != 0:
        return
    for directory, names, files in os.walk(tree):
        for name in names + files:
            os.chown(Path(directory) / name, SANDBOX_HOST_UID, SANDBOX_HOST_UID, follow_symlinks=False)
    os.chown(tree, SANDBOX_HOST_UID, SANDBOX_HOST_UID)
