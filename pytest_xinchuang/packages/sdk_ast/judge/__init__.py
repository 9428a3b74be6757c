"""Differences judged by compilers and linkers: clients written for the old version are tried against the new one."""
