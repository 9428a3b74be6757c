from typing import final


@final
class A:
    pass
