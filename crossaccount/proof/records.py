"""Answers in recordio-protobuf: the records of AWS's own algorithms as plain data.

Not here: making them. The SageMaker SDK has a deserializer of this name, which raises NotImplementedError (sagemaker-core 2.27).

Source: "Common data formats for inference" and "Training data formats" in the SageMaker developer guide, which has the messages;
the framing of MXNet's RecordIO: a magic number, a length, the record, padding to four bytes.
"""

import base64
import struct
from collections.abc import Iterator
from functools import cache
from typing import Any

_MAGIC = 0xCED7230A
_MOST_LENGTH = 1 << 29  # what is above are marks of records in several parts
_OPTIONAL, _REPEATED = 1, 3  # google.protobuf, FieldDescriptorProto.Label
_DOUBLE, _FLOAT, _INT32, _UINT64, _STRING, _MESSAGE, _BYTES = 1, 2, 5, 4, 9, 11, 12  # its Type


def read_records(raw: bytes) -> list[dict[str, Any]]:
    """The records, each with the tensors of its features and of its label by their names.

    A dense tensor is the list of its values; a sparse one has ``values``, ``keys`` and ``shape``; bytes are in base64.

    Raises:
        ValueError: for bytes that are no such records, or break off.
    """
    from google.protobuf.message import DecodeError

    records = list[dict[str, Any]]()
    for frame in _frames(raw):
        record = _record_type()()
        try:
            record.ParseFromString(frame)
        except DecodeError as error:
            raise ValueError(f"record {len(records)} is no record of protobuf: {str(error)[:100]}") from None
        records.append(_plain(record))
    return records


def _frames(raw: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(raw):
        if len(raw) - at < 8:
            raise ValueError(f"it breaks off within the head of a record, at byte {at}")
        magic, length = struct.unpack_from("<II", raw, at)
        if magic != _MAGIC or length >= _MOST_LENGTH:
            raise ValueError(f"it is no RecordIO: no whole record begins at byte {at}")
        at, end = at + 8, at + 8 + length
        if end > len(raw):
            raise ValueError(f"it breaks off within a record of {length} bytes")
        yield raw[at:end]
        at = end + -length % 4
    if at > len(raw):
        raise ValueError("it breaks off within the padding of a record")


def _plain(record: Any) -> dict[str, Any]:
    parts = {
        name: {key: _tensor(value) for key, value in sorted(getattr(record, name).items())}
        for name in ("features", "label")
    }
    texts = {
        name: getattr(record, name) for name in ("uid", "metadata", "configuration") if record.HasField(name)
    }
    for name, text in texts.items():
        if not isinstance(text, str):  # protobuf gives the bytes of what is no UTF-8
            raise ValueError(f"the {name} of a record is no text")
    return {name: part for name, part in {**parts, **texts}.items() if part}


def _tensor(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return []
    tensor = getattr(value, kind)
    if kind == "bytes":
        return [base64.b64encode(part).decode() for part in tensor.value]
    values = list(tensor.values)
    if not tensor.keys and not tensor.shape:
        return values
    return {"values": values, "keys": list(tensor.keys), "shape": list(tensor.shape)}


@cache
def _record_type() -> Any:
    """The class of the message Record, made of its description: AWS publishes no package of it."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="aialgs/data/record.proto", package="aialgs.data", syntax="proto2"
    )

    def message(holder: Any, name: str, *fields: tuple[str, int, int, int, str]) -> Any:
        added = holder.add(name=name)
        for field, number, label, kind, of in fields:
            described = added.field.add(name=field, number=number, label=label, type=kind)
            if of:
                described.type_name = f".aialgs.data.{of}"
        return added

    for name, kind in (("Float32Tensor", _FLOAT), ("Float64Tensor", _DOUBLE), ("Int32Tensor", _INT32)):
        tensor = message(
            file.message_type,
            name,
            ("values", 1, _REPEATED, kind, ""),
            ("keys", 2, _REPEATED, _UINT64, ""),
            ("shape", 3, _REPEATED, _UINT64, ""),
        )
        for field in tensor.field:
            field.options.packed = True
    message(
        file.message_type,
        "Bytes",
        ("value", 1, _REPEATED, _BYTES, ""),
        ("content_type", 2, _OPTIONAL, _STRING, ""),
    )
    value = message(
        file.message_type,
        "Value",
        ("float32_tensor", 2, _OPTIONAL, _MESSAGE, "Float32Tensor"),
        ("float64_tensor", 3, _OPTIONAL, _MESSAGE, "Float64Tensor"),
        ("int32_tensor", 7, _OPTIONAL, _MESSAGE, "Int32Tensor"),
        ("bytes", 9, _OPTIONAL, _MESSAGE, "Bytes"),
    )
    value.oneof_decl.add(name="value")
    for field in value.field:
        field.oneof_index = 0
    record = message(
        file.message_type,
        "Record",
        ("features", 1, _REPEATED, _MESSAGE, "Record.FeaturesEntry"),
        ("label", 2, _REPEATED, _MESSAGE, "Record.LabelEntry"),
        ("uid", 3, _OPTIONAL, _STRING, ""),
        ("metadata", 4, _OPTIONAL, _STRING, ""),
        ("configuration", 5, _OPTIONAL, _STRING, ""),
    )
    for name in ("FeaturesEntry", "LabelEntry"):
        entry = message(
            record.nested_type,
            name,
            ("key", 1, _OPTIONAL, _STRING, ""),
            ("value", 2, _OPTIONAL, _MESSAGE, "Value"),
        )
        entry.options.map_entry = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("aialgs.data.Record"))
