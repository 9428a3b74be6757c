"""What of /proc tells of the host or changes it: hidden, or read-only, in every sandbox that shares the host's kernel.

The names are those that container engines hide (opencontainers/runtime-spec, moby's oci/defaults.go), and the kernel's
command line, its message buffer and its lists of memory, which tell of the host alone.
"""

from __future__ import annotations

MASKED = (
    *(
        "acpi",
        "asound",
        "bootconfig",
        "cmdline",
        "driver",
        "interrupts",
        "iomem",
        "ioports",
        "kallsyms",
        "kcore",
        "key-users",
    ),
    *("keys", "kmsg", "kpagecgroup", "kpagecount", "kpageflags", "latency_stats", "modules", "mtrr", "pagetypeinfo"),
    *("sched_debug", "scsi", "slabinfo", "softirqs", "timer_list", "timer_stats", "vmallocinfo"),
)
READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger", "tty", "pressure")

DOCKER_MASKED = (
    *(f"/proc/{name}" for name in MASKED),
    *("/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/cgroup", "/sys/kernel", "/sys/module"),
)
DOCKER_READ_ONLY = tuple(f"/proc/{name}" for name in READ_ONLY)
