import lib_pb2 as lib


def write() -> bytes:
    return lib.M(e=77).SerializeToString()


def read(data: bytes) -> None:
    m = lib.M.FromString(data)
    assert m.e == 77
