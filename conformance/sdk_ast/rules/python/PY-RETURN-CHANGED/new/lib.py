def f() -> str:
    return "1"
