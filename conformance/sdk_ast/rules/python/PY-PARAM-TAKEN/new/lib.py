def f(*, a=1, **options):
    return len(options) + 1
