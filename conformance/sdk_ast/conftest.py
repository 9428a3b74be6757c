"""Witnesses of rules are no tests: pytest need not walk through hundreds of folders."""

collect_ignore = ["rules"]
