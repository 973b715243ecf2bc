/** The operations that are methods of Tensor as well: `a.add(b)` is `add(a, b)`. */
import type { DeviceLike } from "../tensor/devices.js";
import type { DType } from "../tensor/dtype.js";
import { Tensor } from "../tensor/tensor.js";
import { add, div, mul, neg, sub } from "./arithmetic.js";
import { matmul } from "./matmul.js";
import { mean, type ReductionOptions, sum } from "./reduction.js";
import { permute, reshape, slice, to, transpose } from "./shape.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** `add(this, other)` */
    add(other: Tensor | number): Tensor;
    /** `sub(this, other)` */
    sub(other: Tensor | number): Tensor;
    /** `mul(this, other)` */
    mul(other: Tensor | number): Tensor;
    /** `div(this, other)` */
    div(other: Tensor | number): Tensor;
    /** `neg(this)` */
    neg(): Tensor;
    /** See `matmul`. */
    matmul(other: Tensor): Tensor;
    /** See `sum`. */
    sum(axes?: number | readonly number[], options?: ReductionOptions): Tensor;
    /** See `mean`. */
    mean(axes?: number | readonly number[], options?: ReductionOptions): Tensor;
    /** See `reshape`. */
    reshape(...shape: number[] | [readonly number[]]): Tensor;
    /** See `permute`. */
    permute(...axes: number[] | [readonly number[]]): Tensor;
    /** See `transpose`. */
    transpose(first?: number, second?: number): Tensor;
    /** See `slice`. */
    slice(axis: number, start: number, end?: number): Tensor;
    /**
     * This tensor in another dtype, or on another device; shares memory if it is there already. Differentiable between
     * float32 and bfloat16.
     *
     * @throws DeviceError if there is no such device
     */
    to(target: DType | DeviceLike): Tensor;
  }
}

function listed(values: number[] | [readonly number[]]): readonly number[] {
  return Array.isArray(values[0]) ? values[0] : (values as number[]);
}

/** Forwards a method's arguments to the function whose first argument is the tensor. */
function method<Rest extends readonly unknown[]>(operation: (x: Tensor, ...rest: Rest) => Tensor) {
  return function (this: Tensor, ...rest: Rest): Tensor {
    return operation(this, ...rest);
  };
}

Object.assign(Tensor.prototype, {
  add: method(add),
  sub: method(sub),
  mul: method(mul),
  div: method(div),
  neg: method(neg),
  matmul: method(matmul),
  sum: method(sum),
  mean: method(mean),
  transpose: method(transpose),
  slice: method(slice),
  to: method(to),
  reshape: method((x: Tensor, ...shape: number[] | [readonly number[]]) => reshape(x, listed(shape))),
  permute: method((x: Tensor, ...axes: number[] | [readonly number[]]) => permute(x, listed(axes))),
});
