"""A manifest that is written from what is delivered: for `xc grade PATH` and `xc subject init --from PATH`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_xinchuang.commands.common import Context
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, verbatim

if TYPE_CHECKING:
    from pytest_xinchuang.building.drafting import Delivery, Start
    from pytest_xinchuang.core.platform import Platform
    from pytest_xinchuang.sandbox.pool import Pool


def draft(context: Context, product: Path, place: Path, backend: str = "auto") -> Path:
    """Write the manifest of ``product`` into ``place``; how its programs are started is tried in a sandbox.

    Raises:
        XcError: it is not below ``place``, cannot be read, or nothing in it runs anywhere; or there is no sandbox here.
    """
    from pytest_xinchuang.building.drafting import Delivery, trial, write_manifest

    if not product.resolve().is_relative_to(place.resolve()):
        raise XcError(
            _("{product} is not below {place}", product=verbatim(str(product)), place=verbatim(str(place))),
            mend=_("write the manifest beside it: {command}", command=verbatim(f"xc subject init --from {product}")),
        )
    context.options.quiet = True
    platforms = context.selected()
    delivery = Delivery(product, place, context.platforms.file.architectures)
    platform = next((p for p in platforms if any(p.arch in one.programs for one in delivery.delivered)), None)
    starts = []
    if platform is not None:
        pool = context.pool(backend=backend)
        try:
            names = platform.architecture.names
            try_one = trial(pool.sandbox(platform), names.get("oci", platform.arch.value))
            starts = delivery.starts(platform.arch, try_one)
            starts += _imports(delivery, pool, platform)
        finally:
            pool.close()
    manifest = write_manifest(delivery.manifest(starts, context.language), place)
    context.tell(_("wrote {manifest}: check what it says", manifest=verbatim(str(manifest))))
    return manifest


def _imports(delivery: Delivery, pool: Pool, platform: Platform) -> list[Start]:
    """How the wheels are imported by the Python that is added to the platform's root filesystem: a manifest names no other."""
    from pytest_xinchuang.building.drafting import import_trial
    from pytest_xinchuang.loading.interpreters import root_filesystems, with_packages
    from pytest_xinchuang.loading.python import PACKAGES, SUITES, fits

    rootfs, suite = next(root_filesystems(pool, platform), ("", ""))
    fitting = [w for w in delivery.wheels(platform.arch) if suite in SUITES and fits(w, SUITES[suite])]
    if not fitting:
        return delivery.imports(platform.arch, {})
    with with_packages(pool, platform, rootfs, PACKAGES) as sandbox:
        try_one = import_trial(sandbox, platform.architecture.names.get("oci", platform.arch.value))
        return delivery.imports(platform.arch, dict.fromkeys(fitting, try_one))
