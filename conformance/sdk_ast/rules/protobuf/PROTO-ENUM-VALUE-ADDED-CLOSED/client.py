import lib_pb2 as lib


def write() -> bytes:
    return lib.M(e=lib.Z).SerializeToString()


def read(data: bytes) -> None:
    m = lib.M.FromString(data)
    assert m.e == 0
