import lib_pb2 as lib


def write() -> bytes:
    service = lib.DESCRIPTOR.services_by_name['S']
    assert 'R' in service.methods_by_name
    return b''


def read(data: bytes) -> None:
    assert data == b''
