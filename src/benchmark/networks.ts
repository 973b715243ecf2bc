/** Blocks of each stage and the whole network, as a program uses them: through modules, tape and optimiser. */

import type { MedMambaConfig } from "../models/config.js";
import { MedMamba } from "../models/medmamba.js";
import { SSConvSSM } from "../nn/ss-conv-ssm.js";
import { crossEntropy } from "../ops/loss.js";
import { randn, tensor } from "../tensor/creation.js";
import type { Device } from "../tensor/device.js";
import { noGrad } from "../tensor/tape.js";
import type { Tensor } from "../tensor/tensor.js";
import { AdamW, SGD } from "../training/optimizer.js";
import type { Benchmark, Opened } from "./benchmark.js";
import { backwardCost, blockWork, both, forwardCost, modelWork, type Stage } from "./work.js";

export function blockBenchmarks(stage: Stage, batch: number): Benchmark[] {
  const { height, width, channels } = stage;
  const [forward, backward] = [forwardCost(blockWork(stage), batch), backwardCost(blockWork(stage), batch)];
  const common = { shape: `${height}x${width}x${channels}`, images: batch };
  return [
    {
      ...common,
      name: "block inference",
      cost: forward,
      open: (device) => {
        const block = new SSConvSSM(channels, { dState: stage.states, device }).eval();
        const x = randn([batch, height, width, channels], { device });
        return {
          run: () => noGrad(() => block.forward(x)).dispose(),
          close: () => {
            x.dispose();
            block.dispose();
          },
        };
      },
    },
    {
      ...common,
      name: "block forward",
      cost: forward,
      open: (device) => {
        const { forward, backward, close } = trainedBlock(stage, batch, device);
        return { run: forward, after: backward, close };
      },
    },
    {
      ...common,
      name: "block backward",
      cost: backward,
      open: (device) => {
        const { forward, backward, close } = trainedBlock(stage, batch, device);
        return { before: forward, run: backward, close };
      },
    },
  ];
}

/** A block in training, whose gradients go where they go in training: into an optimiser's buffer. */
function trainedBlock({ height, width, channels, states }: Stage, batch: number, device: Device) {
  const block = new SSConvSSM(channels, { dState: states, device });
  const x = randn([batch, height, width, channels], { device, requiresGrad: true });
  const dy = randn(x.shape, { device });
  const optimizer = new SGD([x, ...block.parameters()], { lr: 0 });
  let y: Tensor | undefined;
  return {
    forward: () => {
      optimizer.zeroGrad();
      y = block.forward(x);
    },
    backward: () => {
      y?.backward({ gradient: dy });
      y?.dispose();
    },
    close: () => {
      optimizer.dispose();
      block.dispose();
      x.dispose();
      dy.dispose();
    },
  };
}

/** @param label  what the network is called in its rows */
export function modelBenchmarks(
  label: string,
  config: MedMambaConfig,
  imageSize: number,
  batch: number,
): Benchmark[] {
  const work = modelWork(config, imageSize);
  const [forward, backward] = [forwardCost(work, batch), backwardCost(work, batch)];
  const common = { shape: `${imageSize}x${imageSize}x${config.inChannels}`, images: batch };
  return [
    {
      ...common,
      name: `${label} inference`,
      cost: forward,
      open: (device) => {
        const model = new MedMamba({ ...config, device }).eval();
        const images = randn([batch, config.inChannels, imageSize, imageSize], { device });
        return {
          run: () => model.predict(images).dispose(),
          close: () => {
            images.dispose();
            model.dispose();
          },
        };
      },
    },
    {
      ...common,
      name: `${label} training step`,
      cost: both(forward, backward),
      open: (device) => trainingStep(config, imageSize, batch, device),
    },
  ];
}

/** Forward, loss, backward and AdamW, on the same images each time. */
export function trainingStep(
  config: MedMambaConfig,
  imageSize: number,
  batch: number,
  device: Device,
): Opened {
  const model = new MedMamba({ ...config, device });
  const images = randn([batch, config.inChannels, imageSize, imageSize], { device });
  const classes = Int32Array.from({ length: batch }, (_, i) => i % config.numClasses);
  const labels = tensor(classes, [batch], { dtype: "int64", device });
  const optimizer = new AdamW(model.parameters(), { lr: 1e-4 });
  return {
    run: () => {
      optimizer.zeroGrad();
      const logits = model.forward(images);
      const loss = crossEntropy(logits, labels);
      loss.backward();
      optimizer.step();
      loss.dispose();
    },
    close: () => {
      optimizer.dispose();
      images.dispose();
      labels.dispose();
      model.dispose();
    },
  };
}
