// A test of a user's own project, run by its vitest.
import { randn } from "medmamba";

test("computes under vitest", async () => {
  expect(await randn([3]).add(1).data()).toHaveLength(3);
});
