/**
 * The functions and classes of Python that a file of torch.save may refer to, and what each means here. All are tables of plain
 * values; what is not in them is refused.
 */
import type { StoredDtype } from "../dtypes.js";
import { Callable, type PickleValue, printable } from "./pickle.js";
import { Storage, StoredView, viewOf } from "./storages.js";

/** Names of element types as torch has them, where ours are others. */
const dtypes: Readonly<Record<string, StoredDtype>> = {
  float32: "float32",
  float64: "float64",
  float16: "float16",
  bfloat16: "bfloat16",
  int8: "int8",
  int16: "int16",
  int32: "int32",
  int64: "int64",
  uint8: "uint8",
  uint16: "uint16",
  uint32: "uint32",
  uint64: "uint64",
  bool: "bool",
  complex64: "complex64",
  float8_e4m3fn: "float8_e4m3fn",
  float8_e5m2: "float8_e5m2",
};

/** Classes of storages; "UntypedStorage" leaves the type to its tensors. */
const storages: Readonly<Record<string, StoredDtype | undefined>> = {
  "torch.FloatStorage": "float32",
  "torch.DoubleStorage": "float64",
  "torch.HalfStorage": "float16",
  "torch.BFloat16Storage": "bfloat16",
  "torch.CharStorage": "int8",
  "torch.ShortStorage": "int16",
  "torch.IntStorage": "int32",
  "torch.LongStorage": "int64",
  "torch.ByteStorage": "uint8",
  "torch.BoolStorage": "bool",
  "torch.ComplexFloatStorage": "complex64",
  "torch.storage.UntypedStorage": undefined,
};

/** A class of storages, as a persistent id names it. */
export class StorageClass {
  constructor(readonly dtype: StoredDtype | undefined) {}
}

/** A type of elements. */
class ElementType {
  constructor(readonly dtype: StoredDtype) {}
}

/** Something beside the weights, such as the arguments of a training: it is there and has no use here. */
class Unused {}

/** What `_rebuild_from_type_v2` may call, which could call itself without end otherwise. */
const tensorMakers = /^torch\._utils\._rebuild_tensor_v[23]$/;

const unused = (): PickleValue => new Unused();
const first = ([value = null]: PickleValue[]): PickleValue => value;

/** Functions and classes that are called, by their names. */
const callables: Readonly<Record<string, (parameters: PickleValue[]) => PickleValue>> = {
  "collections.OrderedDict": dictionary,
  "collections.defaultdict": () => new Map(),
  "collections.Counter": unused,
  "builtins.set": unused,
  "__builtin__.set": unused,
  "builtins.frozenset": unused,
  "__builtin__.frozenset": unused,
  "builtins.bytearray": unused,
  "__builtin__.bytearray": unused,
  "_codecs.encode": unused,
  "argparse.Namespace": unused,
  ...Object.fromEntries(
    ["PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"].flatMap((name) => [
      [`pathlib.${name}`, unused],
      [`pathlib._local.${name}`, unused],
    ]),
  ),
  "numpy.dtype": unused,
  "numpy.core.multiarray.scalar": unused,
  "numpy._core.multiarray.scalar": unused,
  "numpy.core.multiarray._reconstruct": unused,
  "numpy._core.multiarray._reconstruct": unused,
  "numpy.core.numeric._frombuffer": unused,
  "numpy._core.numeric._frombuffer": unused,
  "torch.Size": ([sizes = []]) => sizes,
  "torch.device": unused,
  "torch._utils._rebuild_tensor_v2": ([storage, offset, shape, strides]) =>
    viewOf(storage, { offset, shape, strides }),
  "torch._utils._rebuild_tensor_v3": ([storage, offset, shape, strides, _, __, type]) => {
    if (!(type instanceof ElementType)) throw new Error("it has a tensor without a type of elements");
    return viewOf(storage, { offset, shape, strides, dtype: type.dtype });
  },
  "torch._utils._rebuild_parameter": first,
  "torch._utils._rebuild_parameter_with_state": first,
  "torch._tensor._rebuild_from_type_v2": ([rebuild, _, parameters]) => {
    if (!(rebuild instanceof Callable) || !tensorMakers.test(rebuild.name) || !Array.isArray(parameters))
      throw new Error("it has a tensor that cannot be made");
    return rebuild.call(parameters);
  },
};

/** What is only named, beside types of elements and classes of storages. */
const names = [
  ..."torch.Tensor torch._tensor.Tensor torch.nn.parameter.Parameter numpy.ndarray".split(" "),
  ...["builtins", "__builtin__"].flatMap((module) =>
    ["list", "dict", "int", "float"].map((name) => `${module}.${name}`),
  ),
];

/** What a tensor is that is made by a function without a meaning here. */
const kinds: Readonly<Record<string, string>> = {
  "torch._utils._rebuild_qtensor": "a quantised tensor: save what its dequantize() gives",
  "torch._utils._rebuild_sparse_tensor": "a sparse tensor: save what its to_dense() gives",
  "torch._utils._rebuild_sparse_csr_tensor": "a sparse tensor: save what its to_dense() gives",
  "torch._utils._rebuild_nested_tensor": "a nested tensor, which is no weight",
  "torch._utils._rebuild_meta_tensor_no_storage": "a tensor on the device meta, which has no values",
  "torch.ComplexDoubleStorage": "a tensor of complex128, which no network here has",
};

/** What a function without a meaning here would make, where that is known, with what to do. */
export const kindOf = (name: string): string | undefined =>
  Object.hasOwn(kinds, name) ? kinds[name] : undefined;

/** The meaning of a function or class; undefined if it has none. */
export function meaningOf(name: string): PickleValue | undefined {
  if (Object.hasOwn(callables, name)) return new Callable(name, callables[name] as never);
  if (Object.hasOwn(storages, name)) return new StorageClass(storages[name]);
  const dtype = name.replace(/^torch\./, "");
  if (dtype !== name && Object.hasOwn(dtypes, dtype)) return new ElementType(dtypes[dtype] as StoredDtype);
  return names.includes(name) ? new Unused() : undefined;
}

/** The storage of an id: `("storage", class, name of the record, device, number of elements)`. */
export function storageOf(id: PickleValue, bytesOfElement: (dtype: StoredDtype) => number): Storage {
  if (!Array.isArray(id) || id.length !== 5 || id[0] !== "storage")
    throw new Error("it refers to something outside of it that is no storage");
  const [, kind, key, , elements] = id;
  if (!(kind instanceof StorageClass)) throw new Error("it has a storage of no known class");
  if (typeof key !== "string") throw new Error("it has a storage without a name");
  if (!Number.isSafeInteger(elements) || (elements as number) < 0)
    throw new Error(`storage ${printable(key)} has no number of elements`);
  return new Storage(key, kind.dtype, (elements as number) * (kind.dtype ? bytesOfElement(kind.dtype) : 1));
}

export const isTensor = (value: unknown): value is StoredView => value instanceof StoredView;

/** `OrderedDict()`: torch.save puts the items in afterwards. A copy of given ones could be asked for again and again. */
function dictionary(parameters: PickleValue[]): PickleValue {
  if (parameters.length > 0) throw new Error("it makes a dictionary in a way that torch.save does not");
  return new Map();
}
