import lib_pb2 as lib


def write() -> bytes:
    service = lib.DESCRIPTOR.services_by_name['S']
    assert service.methods_by_name['R'].output_type.name == 'N'
    return b''


def read(data: bytes) -> None:
    assert data == b''
