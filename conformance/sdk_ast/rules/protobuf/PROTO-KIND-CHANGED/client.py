import lib_pb2 as lib


def write() -> bytes:
    return lib.M(a=1).SerializeToString()


def read(data: bytes) -> None:
    m = lib.M.FromString(data)
    assert m.a == 1
