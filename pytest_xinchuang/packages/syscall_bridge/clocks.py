"""The quality of clocks and timers, judged from the samples that a bridge gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pytest_xinchuang.core.found import Found
from pytest_xinchuang.messages import _, n_, verbatim

SAMPLES = 10_000
TIMER_PERIOD_NS = 1_000_000
CLOCK_LIMIT_NS = 1_000_000
TIMER_LIMIT_NS = 10_000_000
"""The worst step of a clock and the latest timer that pass, on the machine itself: 1 ms between two readings and 10 ms of
lateness are what an unloaded server kernel with a tick of 250 Hz stays well below (this suite's own bound)."""


def judge_clocks(clock: Mapping[str, Any] | None, timer: Mapping[str, Any] | None, timer_s: float) -> Found:
    """Judge the samples that a bridge reports; None stands for an operation that it lacks.

    The bridge measures itself. We can check that it made all samples, that it reports numbers, and, by our own clock
    (``timer_s``, seconds), that it waited for 10,000 timers.
    """
    found = Found(evidence=[{"kind": "clocks", "clock": clock, "timer": timer, "timer_s": round(timer_s, 3)}])
    if clock is None or timer is None:
        found.lacking = _("the bridge has no operations clock_samples and timer_samples")
        return found
    for what, values, names in (
        ("clock_samples", clock, ("samples", "backwards", "worst_ns")),
        ("timer_samples", timer, ("samples", "early", "worst_ns")),
    ):
        for name in names:
            value = values.get(name)
            # worst_ns may be a fraction; a bool is an int to Python.
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                found.wrong.append(
                    _(
                        "{what} says {name} {value}, which is no number of 0 or more",
                        what=what,
                        name=name,
                        value=verbatim(repr(value)),
                    )
                )
    if found.wrong:
        return found
    assert clock is not None and timer is not None
    for what, values in (("clock_samples", clock), ("timer_samples", timer)):
        if values["samples"] != SAMPLES:
            found.wrong.append(
                _("{what} made {values} of {SAMPLES} samples", what=what, values=values["samples"], SAMPLES=SAMPLES)
            )
    if timer_s < SAMPLES * TIMER_PERIOD_NS / 1e9:
        found.wrong.append(
            _(
                "{SAMPLES} timers of {TIMER_PERIOD_NS} ns are said to be over after {timer_s:.1f} s",
                SAMPLES=SAMPLES,
                TIMER_PERIOD_NS=TIMER_PERIOD_NS,
                timer_s=timer_s,
            )
        )
    if clock["backwards"]:
        found.wrong.append(
            n_("the clock went backwards once", "the clock went backwards {n} times", math.ceil(clock["backwards"]))
        )
    if timer["early"]:
        found.wrong.append(n_("{n} timer was early", "{n} timers were early", math.ceil(timer["early"])))
    for what, values, limit in (
        (_("step of the clock"), clock, CLOCK_LIMIT_NS),
        (_("lateness of a timer"), timer, TIMER_LIMIT_NS),
    ):
        if values["worst_ns"] > limit:
            found.wrong.append(
                _(
                    "the worst {what} among {SAMPLES} samples is {values} ns, the bound is {limit} ns",
                    what=what,
                    SAMPLES=SAMPLES,
                    values=values["worst_ns"],
                    limit=limit,
                )
            )
    return found
