/** Joining other processes, and what a group of one does. */
import { distributed, ones } from "../../../dist/index.js";

const one =
  (call) =>
  async (...args) => {
    const group = await distributed.init({ rank: 0, worldSize: 1 });
    try {
      return await call(group, ...args);
    } finally {
      await group.close();
    }
  };

export const calls = {
  "distributed.init": [
    async (...args) => {
      const group = await distributed.init(...args);
      await group.close();
    },
    () => [
      {
        rank: 0,
        worldSize: 1,
        localRank: 0,
        token: "t",
        engine: "tcp",
        reduction: "engine",
        patience: 1,
        onWaiting: () => {},
      },
    ],
  ],
  "distributed.Group.sum": [one((group, values) => group.sum(values)), () => [ones([2])]],
  "distributed.Group.broadcast": [
    one((group, values, root) => group.broadcast(values, root)),
    () => [ones([2]), 0],
    { takes: { 0: ["other dtype"] } },
  ],
};
