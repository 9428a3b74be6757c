import lib_pb2 as lib


def write() -> bytes:
    service = lib.DESCRIPTOR.services_by_name['S']
    assert not service.methods_by_name['R'].server_streaming
    return b''


def read(data: bytes) -> None:
    assert data == b''
