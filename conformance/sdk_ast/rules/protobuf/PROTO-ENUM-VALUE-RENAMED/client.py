import lib_pb2 as lib
from google.protobuf.json_format import MessageToJson, Parse


def write() -> str:
    return MessageToJson(lib.M(e=1))


def read(data: str) -> None:
    m = Parse(data, lib.M())
    assert m.e == 1
