import lib_pb2 as lib


def write() -> bytes:
    required = lib.M.DESCRIPTOR.fields_by_name['a'].is_required
    return lib.M(**({'a': 1} if required else {})).SerializeToString()


def read(data: bytes) -> None:
    assert lib.M.FromString(data).IsInitialized()
