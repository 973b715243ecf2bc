/**
 * What an operation passes to the device: the fields of its parameter struct in backend.h, by the struct's names. Here
 * tensors become the handles that the addon takes.
 */
import { ArgumentError } from "../errors.js";
import type { NativeBuffer, NativeCommunicator, NativeParameter } from "../native/addon.js";
import { inWords } from "../settings/given.js";
import type { Device } from "./device.js";

/** What a device has, as an operation takes it: memory, such as a tensor's, or the way to other ranks. */
export interface Field {
  readonly handle: NativeBuffer | NativeCommunicator;
  readonly device: Device;
}

/** What an operation passes for a field of its parameter struct. */
export type Argument = Field | readonly Field[] | number | boolean | readonly number[] | Fields | undefined;

/** The fields of an operation's parameter struct. */
export interface Fields {
  readonly [field: string]: Argument;
}

/** Numbers of an operation that differ from launch to launch of a graph. */
export type Varying = { readonly [field: string]: number | boolean };

/**
 * The fields as the addon takes them.
 *
 * @param check  called with each tensor
 * @throws ArgumentError for what no operation takes, such as text
 */
export function toNative(
  fields: Fields,
  check: (name: string, field: Field) => void,
): Record<string, NativeParameter> {
  const handle = (name: string, field: Field): Field["handle"] => {
    check(name, field);
    return field.handle;
  };
  const parameters: Record<string, NativeParameter> = {};
  for (const name in fields) {
    const value = fields[name];
    if (value === undefined) continue;
    if (typeof value === "number" || typeof value === "boolean") parameters[name] = value;
    else if (isField(value)) parameters[name] = handle(name, value);
    else if (Array.isArray(value))
      parameters[name] = value.map((item) => (isField(item) ? handle(name, item) : item)) as NativeParameter;
    else if (typeof value === "object" && value !== null) parameters[name] = toNative(value as Fields, check);
    else throw new ArgumentError(`${name} has to be a number or a tensor, but is ${inWords(value)}.`);
  }
  return parameters;
}

function isField(value: unknown): value is Field {
  return typeof value === "object" && value !== null && "handle" in value;
}
