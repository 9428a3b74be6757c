"""Python: the packages that lock files pin, code that asks for the machine, and libraries that it loads."""
