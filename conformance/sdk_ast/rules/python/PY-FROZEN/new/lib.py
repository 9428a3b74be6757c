import dataclasses


@dataclasses.dataclass(frozen=True)
class A:
    x: int = 1
