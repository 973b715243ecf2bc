// What a user's program does, written with `require`: three training steps, a checkpoint, a prediction; prints JSON.
const medmamba = require("medmamba");

module.exports = async function train() {
  const { crossEntropy, data, loadCheckpoint, manualSeed, MedMamba, optim, predictImages } = medmamba;
  manualSeed(1);
  const model = new MedMamba({ depths: [1, 1], dims: [16, 32], numClasses: 3, device: "auto" });
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-3 });
  const images = medmamba.randn([4, 3, 32, 32]);
  const labels = medmamba.tensor([0, 1, 2, 0], [4], { dtype: "int64" });
  const losses = [];
  for (let step = 0; step < 3; step++) {
    optimizer.zeroGrad();
    const loss = crossEntropy(model.forward(images), labels);
    loss.backward();
    optimizer.step();
    losses.push(await loss.item());
  }

  const { checkpoint, picture } = files();
  await require("sharp")({ create: { width: 40, height: 32, channels: 3, background: "#804020" } }).toFile(
    picture,
  );
  await medmamba.saveCheckpoint(checkpoint, model.stateDict(), {
    config: model.config,
    classes: ["benign", "malignant", "normal"],
    preprocessing: data.definePreprocessing({ imageSize: 32 }),
  });
  const [prediction] = await predictImages(await loadCheckpoint(checkpoint), [picture]);
  return { losses, prediction, whyNotGpu: medmamba.whyNotGpu() };
};

/** Where the program may write, which is not beside it. */
function files() {
  const directory = require("node:fs").mkdtempSync(`${require("node:os").tmpdir()}/medmamba-consumer-`);
  return { checkpoint: `${directory}/best.safetensors`, picture: `${directory}/picture.png` };
}

if (require.main === module) module.exports().then((result) => console.log(JSON.stringify(result)));
