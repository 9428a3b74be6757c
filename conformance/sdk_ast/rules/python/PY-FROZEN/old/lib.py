import dataclasses


@dataclasses.dataclass
class A:
    x: int = 1
