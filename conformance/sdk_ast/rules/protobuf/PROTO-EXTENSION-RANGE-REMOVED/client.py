import lib_pb2 as lib


def write() -> bytes:
    m = lib.M()
    m.Extensions[lib.a] = 1
    return m.SerializeToString()


def read(data: bytes) -> None:
    assert lib.M.FromString(data).Extensions[lib.a] == 1
