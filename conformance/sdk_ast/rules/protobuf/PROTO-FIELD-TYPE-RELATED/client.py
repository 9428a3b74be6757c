import lib_pb2 as lib


def write() -> bytes:
    return lib.M(a=2**40).SerializeToString()


def read(data: bytes) -> None:
    m = lib.M.FromString(data)
    assert m.a == 2**40
