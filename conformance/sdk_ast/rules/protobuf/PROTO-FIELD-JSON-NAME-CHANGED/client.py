import lib_pb2 as lib
from google.protobuf.json_format import MessageToJson, Parse


def write() -> str:
    return MessageToJson(lib.M(a=1))


def read(data: str) -> None:
    m = Parse(data, lib.M())
    assert '"x"' not in data and m.a == 1
