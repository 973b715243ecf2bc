import ort from "onnxruntime-node";

// A model file is a protobuf message: fields of a number and a type (0 a number, 2 bytes after their length).
const varint = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]);
const number = (field, value) => [...varint(field << 3), ...varint(value)];
const bytes = (field, content) => {
  const list = typeof content === "string" ? [...Buffer.from(content)] : [...content];
  return [...varint((field << 3) | 2), ...varint(list.length), ...list];
};
const shape = (dims) =>
  bytes(
    2,
    dims.flatMap((size) => bytes(1, number(1, size))),
  );
const value = (name, dims) => [...bytes(1, name), ...bytes(2, bytes(1, [...number(1, 1), ...shape(dims)]))];

const weight = new Uint8Array(Float32Array.from({ length: 16 * 3 * 9 }, () => Math.random()).buffer);
const pads = [...bytes(1, "pads"), ...[1, 1, 1, 1].flatMap((size) => number(8, size)), ...number(20, 7)];
const convolution = [
  ...bytes(1, "x"),
  ...bytes(1, "w"),
  ...bytes(2, "y"),
  ...bytes(4, "Conv"),
  ...bytes(5, pads),
];
const initial = [
  ...[16, 3, 3, 3].flatMap((size) => number(1, size)),
  ...number(2, 1),
  ...bytes(8, "w"),
  ...bytes(9, weight),
];
const graph = [
  ...bytes(1, convolution),
  ...bytes(2, "graph"),
  ...bytes(5, initial),
  ...bytes(11, value("x", [1, 3, 224, 224])),
  ...bytes(12, value("y", [1, 16, 224, 224])),
];
const model = Uint8Array.from([...number(1, 8), ...bytes(7, graph), ...bytes(8, number(2, 13))]);

const session = await ort.InferenceSession.create(model);
await session.run({ x: new ort.Tensor("float32", new Float32Array(3 * 224 * 224), [1, 3, 224, 224]) });
