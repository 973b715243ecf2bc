/** Learning-rate schedules, and what optimisers and averages refuse. Their formulas are in optim.test.ts. */
import { describe, expect, it } from "vitest";
import { nn, optim, tensor } from "../../src/index.js";

describe("schedules", () => {
  it("warm up in a line and come down half a cosine", () => {
    const schedule = optim.warmupCosine({ lr: 1, totalSteps: 14, warmupSteps: 4, minLr: 0.2 });
    expect([0, 1, 2, 3, 4].map(schedule)).toEqual([0.25, 0.5, 0.75, 1, 1]);
    expect(schedule(9)).toBeCloseTo(0.6, 12);
    expect(schedule(5)).toBeCloseTo(0.2 + 0.4 * (1 + Math.cos(Math.PI / 10)), 12);
    expect(schedule(14)).toBeCloseTo(0.2, 12);
    expect(schedule(99)).toBeCloseTo(0.2, 12);
    expect(optim.warmupCosine({ lr: 3, totalSteps: 2 })(0)).toBe(3);
    expect(() => optim.warmupCosine({ lr: 1, totalSteps: 0 })).toThrow(/make no schedule/);
  });

  // torch.optim.lr_scheduler.OneCycleLR(max_lr=lr, total_steps=total) of PyTorch 2.13, before step 0, 1, total / 4, ...
  it.each([
    [20, 1e-3, [4e-5, 0.0001316718427000252, 0.001, 0.0007169430017913008, 1.2539993764912554e-5, 4e-9]],
    [7, 0.5, [0.02, 0.4902783136674793, 0.4902783136674793, 0.33634191824027254, 0.0496483959466328, 2e-6]],
    [
      101,
      2e-3,
      [8e-5, 8.551302080054635e-5, 0.0018997612079833751, 0.0016059683750513447, 9.950922079225847e-7, 8e-9],
    ],
  ])("go round one cycle of %i steps as PyTorch does", (totalSteps, lr, expected) => {
    const schedule = optim.oneCycle({ lr, totalSteps });
    const steps = [
      0,
      1,
      Math.floor(totalSteps / 4),
      Math.floor(totalSteps / 2),
      totalSteps - 2,
      totalSteps - 1,
    ];
    for (const [i, step] of steps.entries()) expect(schedule(step) / expected[i]! - 1).toBeCloseTo(0, 10);
    for (const few of [1, 2, 3, 4, 10 / 3])
      expect(
        [0, 1, 2, 3, 9].every((step) => Number.isFinite(optim.oneCycle({ lr, totalSteps: few })(step))),
      ).toBe(true);
    expect(() => optim.oneCycle({ lr, totalSteps: 0 })).toThrow(/make no schedule/);
  });

  it("decay in steps", () => {
    const schedule = optim.stepDecay({ lr: 0.8, every: 3, factor: 0.5 });
    expect([0, 2, 3, 5, 6, 9].map(schedule)).toEqual([0.8, 0.8, 0.4, 0.4, 0.2, 0.1]);
    expect(() => optim.stepDecay({ lr: 1, every: 0 })).toThrow(/make no schedule/);
  });

  it("wait on a plateau, and go on where they were", () => {
    const plateau = new optim.Plateau({ lr: 1, patience: 1, factor: 0.5, minLr: 0.2 });
    // Better, better, equal, worse: the second report without improvement is one too many.
    expect([3, 2, 2, 2.5, 2.1, 2.2, 2.3].map((loss) => plateau.observe(loss))).toEqual([
      1, 1, 1, 0.5, 0.5, 0.25, 0.25,
    ]);
    const copy = new optim.Plateau({ lr: 9, patience: 1, factor: 0.5, minLr: 0.2 });
    copy.loadState(JSON.parse(JSON.stringify(plateau.state)));
    expect([copy.observe(2.4), copy.observe(1)]).toEqual([0.2, 0.2]);
    const rising = new optim.Plateau({ lr: 1, patience: 0, mode: "max" });
    expect([0.5, 0.7, 0.6].map((auc) => rising.observe(auc))).toEqual([1, 1, 0.1]);
  });
});

const leaf = (size: number) => tensor(new Float32Array(size), [size], { requiresGrad: true });

describe("an optimiser refuses", () => {
  it("what it cannot optimise", () => {
    expect(() => new optim.SGD([], { lr: 1 })).toThrow(/there are no parameters/);
    const parameter = leaf(3);
    expect(() => new optim.SGD([parameter, parameter], { lr: 1 })).toThrow(/given twice/);
    expect(() => new optim.SGD([parameter.mul(2)], { lr: 1 })).toThrow(/not a trainable leaf/);
    expect(() => new optim.SGD([tensor([1, 2])], { lr: 1 })).toThrow(/not a trainable leaf/);
  });

  it("a norm to clip to that is not positive, and a state that is another's", () => {
    using optimizer = new optim.AdamW([leaf(3)]);
    using larger = new optim.AdamW([leaf(40), leaf(3)]);
    expect(() => optimizer.clipGradNorm(0)).toThrow(/maxNorm 0 is not positive/);
    expect(() => optimizer.loadStateDict(larger.stateDict())).toThrow(
      /"first_moments" of the saved state does not belong to these parameters/,
    );
    using plain = new optim.SGD([leaf(3)], { lr: 1 });
    expect(() => optimizer.loadStateDict(plain.stateDict())).toThrow(/"first_moments"/);
  });
});

it("a change of the learning rate reaches all groups, whatever they began with", () => {
  const [first, second] = [leaf(1), leaf(1)];
  const groups = [{ parameters: [first] }, { parameters: [second], settings: { lr: 7 } }];
  using optimizer = new optim.SGD(groups, { lr: 0.5 });
  expect(optimizer.lr).toBe(0.5);
  optimizer.lr = 0.25;
  first.add(second).sum().backward();
  optimizer.step();
  return Promise.all([first, second].map(async (moved) => expect(await moved.item()).toBe(-0.25)));
});

it("an average refuses a decay of 1 and averages of another model", async () => {
  const model = new nn.Linear(2, 1, { device: "cpu" });
  const average = new optim.MovingAverage(model, 0.5);
  const start = await model.weight.data();
  model.weight.upload(Float32Array.of(5, 7));
  const copy = new optim.MovingAverage(model, 0.5);
  copy.loadStateDict(average.stateDict());
  expect(await copy.stateDict().weight!.data()).toEqual(start);
  expect(() => copy.loadStateDict({})).toThrow(/"weight" is missing in the saved averages/);
  expect(() => new optim.MovingAverage(model, 1)).toThrow(/decay 1 is not in \[0, 1\)/);
});
