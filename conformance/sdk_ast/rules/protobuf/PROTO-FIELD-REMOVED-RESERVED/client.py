import lib_pb2 as lib


def write() -> bytes:
    return lib.M(b=1).SerializeToString()


def read(data: bytes) -> None:
    m = lib.M.FromString(data)
    assert m.b == 1
