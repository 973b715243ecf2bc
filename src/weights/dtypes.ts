/** The element types a safetensors file can hold, in our names, with what the format calls them. */

interface DtypeDescription {
  readonly code: string;
  readonly bytes: number;
}

/**
 * Ordered as the format's own enumeration is, because files list tensors by descending position here: the widest
 * types come first, so that every tensor starts at a multiple of its element size.
 */
const descriptions = {
  bool: { code: "BOOL", bytes: 1 },
  uint8: { code: "U8", bytes: 1 },
  int8: { code: "I8", bytes: 1 },
  float8_e5m2: { code: "F8_E5M2", bytes: 1 },
  float8_e4m3fn: { code: "F8_E4M3", bytes: 1 },
  int16: { code: "I16", bytes: 2 },
  uint16: { code: "U16", bytes: 2 },
  float16: { code: "F16", bytes: 2 },
  bfloat16: { code: "BF16", bytes: 2 },
  int32: { code: "I32", bytes: 4 },
  uint32: { code: "U32", bytes: 4 },
  float32: { code: "F32", bytes: 4 },
  complex64: { code: "C64", bytes: 8 },
  float64: { code: "F64", bytes: 8 },
  int64: { code: "I64", bytes: 8 },
  uint64: { code: "U64", bytes: 8 },
} as const satisfies Record<string, DtypeDescription>;

export type StoredDtype = keyof typeof descriptions;

const names = Object.keys(descriptions) as StoredDtype[];
const byCode = new Map<string, StoredDtype>(names.map((name) => [descriptions[name].code, name]));

/** Bytes of one element. */
export const dtypeBytes = (dtype: StoredDtype): number => descriptions[dtype].bytes;

/** The format's code, such as "BF16". */
export const dtypeCode = (dtype: StoredDtype): string => descriptions[dtype].code;

/** Place in the format's enumeration; see above. */
export const dtypeOrder = (dtype: StoredDtype): number => names.indexOf(dtype);

/** Our name of a code, or undefined if we do not know the code. */
export const dtypeOfCode = (code: string): StoredDtype | undefined => byCode.get(code);

export const isStoredDtype = (name: string): name is StoredDtype => Object.hasOwn(descriptions, name);
