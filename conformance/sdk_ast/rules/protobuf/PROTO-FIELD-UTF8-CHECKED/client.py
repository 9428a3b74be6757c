import lib_pb2 as lib


def write() -> bytes:
    lib.M.FromString(b'\x0a\x01\xff')
    return b'\x0a\x01\xff'


def read(data: bytes) -> None:
    assert lib.M.FromString(data).HasField('a')
