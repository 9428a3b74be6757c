"""System calls: tables and layouts of the kernel's interface, probes, and bridges."""
