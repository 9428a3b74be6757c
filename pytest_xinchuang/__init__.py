"""Grade a product L1 to L4 on Chinese 信创 platforms, from pytest, with evidence."""

__version__ = "0.1.0"
