"""Reads TensorFlow's GraphDef without TensorFlow."""

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_MESSAGES = {
    "GraphDef": [("node", 1, "NodeDef")],
    "NodeDef": [("name", 1, ""), ("op", 2, ""), ("attr", 5, "Attribute")],
    "Attribute": [("key", 1, ""), ("value", 2, "Value")],
    "Value": [("tensor", 8, "Tensor")],
    "Tensor": [("string_val", 8, "")],
}
"""The fields that are read here; those of messages repeat, the others are text or bytes.

Numbers as in graph.proto, node_def.proto, attr_value.proto and tensor.proto of TensorFlow; a map
is a repeated message of key and value.
"""


def read_graph(path: Path) -> Any:
    """Return the graph in a file."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="graph_reader.proto", package="graph_reader")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, type_name in fields:
            repeats = field_name in {"node", "attr", "string_val"}
            is_text = field_name in {"name", "op", "key"}
            message.field.add(
                name=field_name,
                number=number,
                label=field.LABEL_REPEATED if repeats else field.LABEL_OPTIONAL,
                type=field.TYPE_MESSAGE
                if type_name
                else (field.TYPE_STRING if is_text else field.TYPE_BYTES),
                type_name=f".graph_reader.{type_name}" if type_name else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("graph_reader.GraphDef"))
    return kind.FromString(path.read_bytes())
