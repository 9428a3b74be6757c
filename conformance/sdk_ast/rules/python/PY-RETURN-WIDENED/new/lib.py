def f() -> int | None:
    return 1
