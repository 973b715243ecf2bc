import type { Tensor } from "../tensor/tensor.js";
export interface Communicator {
  sum(values: Tensor): void;
  gather(x: Tensor, y: Tensor): void;
  broadcast(values: Tensor, root?: number): void;
  close(): Promise<void>;
}
