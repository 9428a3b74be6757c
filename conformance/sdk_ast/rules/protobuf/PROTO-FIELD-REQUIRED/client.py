import lib_pb2 as lib


def write() -> bytes:
    return lib.M().SerializeToString()


def read(data: bytes) -> None:
    m = lib.M.FromString(data)
    assert m is not None
