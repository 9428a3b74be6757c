"""Under xdist, a platform's tests stay on one worker, and so does its sandbox, unless the user groups them otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_xinchuang.messages import _
from pytest_xinchuang.run.options import usage_error


def platform_of(nodeid: str, platform_ids: Sequence[str]) -> str | None:
    """The platform that is one of a test's parameters; None for a test without one.

    Parameters are joined by dashes, and so are the parts of a platform's id: where several fit, the longest is meant.
    """
    name, _, parameters = nodeid.partition("::")[2].partition("[")
    if not name or not parameters.endswith("]"):
        return None
    found = [i for i in platform_ids if f"-{i}-" in f"-{parameters[:-1]}-"]
    return max(found, key=len, default=None)


def make_scheduler(config: pytest.Config, log: Any, platform_ids: Sequence[str]) -> object | None:
    """A scheduler of the user's choice: ``--dist=load``, which ``-n`` alone means, splits by platform.

    Tests without a platform are split as ``--dist=load`` does. Other ways keep their groups, so that a module's server is one:
    each worker then opens the sandboxes of its own tests. None: xdist's own, for ``worksteal``.

    Raises:
        pytest.UsageError: ``--dist=each``, which would run, and report, every check once for each worker.
    """
    from xdist import scheduler

    chosen = config.getoption("dist")
    if chosen == "each":
        raise usage_error(
            config, _("--dist=each cannot grade: every check would be reported several times; use --dist=load")
        )

    class ByPlatform(scheduler.LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return platform_of(nodeid, platform_ids) or nodeid

    by = {
        "load": ByPlatform,
        "loadscope": scheduler.LoadScopeScheduling,
        "loadfile": scheduler.LoadFileScheduling,
        "loadgroup": scheduler.LoadGroupScheduling,
    }.get(chosen)
    if by is None:
        return None

    class Scheduling(by):  # type: ignore[misc, valid-type]
        def remove_node(self, node: Any) -> str | None:
            """Take back a dead worker's tests, but not the one that killed it: it would kill the next worker too."""
            workload = self.assigned_work.pop(node)
            crashed: str | None = None
            for unit in workload.values():
                for nodeid, completed in unit.items():
                    if not completed and crashed is None:
                        crashed = nodeid
                        unit[nodeid] = True
            if crashed is not None:
                self.workqueue.update({scope: unit for scope, unit in workload.items() if not all(unit.values())})
                for other in self.assigned_work:
                    self._reschedule(other)
            return crashed

    return Scheduling(config, log)
