"""Schemas of protobuf and services of gRPC: read by protoc, judged by the codec of google.protobuf."""
