/**
 * One operation of backend.h by its name, bare: no checks of shapes, no outputs made, nothing on the tape. For benchmarks, which
 * time a kernel and not what a program has around it; everything else calls the operations by their functions.
 */
import type { Fields } from "../tensor/arguments.js";
import type { Device } from "../tensor/device.js";

/**
 * @internal Queues one operation.
 *
 * @param operation  its name in backend.h or block.h
 * @param fields     those of its parameter struct, outputs included
 * @throws OperationError at once if a field is missing or unknown
 */
export function runKernel(device: Device, operation: string, fields: Fields): void {
  device.call(operation, fields);
}

/** @internal Floats that SS2D keeps for backward: of a stage's shape, as its parameter struct has it. */
export function savedBySs2d(device: Device, shape: Readonly<Record<string, number>>): number {
  return device.plan("ss2d", shape).saved;
}
