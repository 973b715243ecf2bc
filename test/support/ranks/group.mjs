// What a group does, one JSON line each:  node group.mjs [hold | astray | leave]
// With "hold" it says "ready" and stays in the group; "astray" makes rank 1 call something else, "leave" close the group early.
import { distributed, tensor } from "../../../dist/index.js";

const [, , what] = process.argv;
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
let group;
try {
  const onWaiting = (news) => process.stderr.write(`${news}\n`);
  group = await distributed.init({ patience: Number(process.env.PATIENCE ?? 20), onWaiting });
  const { rank, worldSize } = group;
  if (what === "hold") {
    say("ready");
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  }
  if (what === "astray" && rank === 1) await group.barrier();
  if (what === "leave" && rank === 1) await group.close();
  say(await group.gather({ rank, worldSize }));
  const values = tensor(Float32Array.of(rank + 1, [1e8, -1e8, 1][rank]), [2]);
  await group.sum(values);
  say([...(await values.data())]);
  const own = tensor(Float32Array.of(rank, rank + 0.5), [2]);
  await group.broadcast(own, worldSize - 1);
  say([...(await own.data())]);
  await group.barrier();
  say(group.carriage);
} catch (error) {
  process.stderr.write(`${error.name}: ${error.message}\n`);
  process.exitCode = 1;
} finally {
  await group?.close();
}
