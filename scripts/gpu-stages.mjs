// What gpu-run.mjs does on a GPU, stage by stage and step by step, the most valuable first.
//
// A step is a command with a limit in seconds. It passes if it ends with 0 and is left out if it ends with 77; one that
// `needs` a tool is left out where that is not installed. `numbers` makes of what it printed what the summary shows.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** @returns `[{ name, seconds, steps: [{ name, seconds, command, needs, numbers }] }]` */
export function stagesFor(context) {
  return [
    { name: "truth", seconds: 220, steps: truth(context) },
    { name: "speed", seconds: 110, steps: speed(context) },
    { name: "profile", seconds: 60, steps: profile(context) },
    { name: "large", seconds: 40, steps: large(context) },
    { name: "training", seconds: 45, steps: training(context) },
  ];
}

// ---- is everything right? ------------------------------------------------------------------------------------

function truth({ root, device, emulator }) {
  const program = join(root, "build", "gpu-tests", `medmamba-gpu-tests${emulator ? "-emulated" : ""}`);
  const listed = spawnSync(program, ["--list"], { encoding: "utf8" });
  const names = listed.status === 0 ? listed.stdout.split("\n").filter(Boolean) : [];
  const precisions = emulator ? ["float32"] : ["float32", "bf16", "tf32"];
  const cli = join(root, "dist", "cli", "main.js");
  const tests = names.length > 0 ? names : [undefined];
  return [
    ...tests.map((test) => ({
      name: test === undefined ? "native tests" : `native test ${test}`,
      seconds: 40,
      command: [program, ...(test === undefined ? [] : [test])],
      numbers: passedAndFailed,
    })),
    // What Hopper multiplies by wgmma, once more by mma.sync.
    ...names
      .filter((test) => ["bfloat16", "precision"].includes(test))
      .map((test) => ({
        name: `native test ${test} without wgmma`,
        seconds: 40,
        command: [program, test],
        numbers: passedAndFailed,
      }))
      .map(withoutWgmma),
    ...precisions.flatMap((precision) => [
      {
        name: `doctor ${precision}`,
        seconds: emulator ? 200 : 40,
        command: [process.execPath, cli, "doctor", "--device", device, "--precision", precision],
      },
      {
        name: `golden files and determinism ${precision}`,
        seconds: emulator ? 200 : 40,
        command: [
          ...[process.execPath, join(root, "scripts", "gpu-golden.mjs"), "--device", device],
          ...["--precision", precision, ...(emulator ? ["--names", "scan_small,ss2d_square"] : [])],
        ],
        numbers: passedAndFailed,
      },
    ]),
    ...["memcheck", "racecheck", "synccheck", "initcheck"].flatMap((tool) =>
      [
        ["float32", ["scan4", "convolution"]],
        ["bf16", ["bfloat16"]],
      ].map(([precision, tested]) => ({
        name: `${tool} ${precision}`,
        seconds: 30,
        needs: "compute-sanitizer",
        command: [
          ...["compute-sanitizer", "--tool", tool, "--error-exitcode", "1", "--print-limit", "20"],
          ...[program, "--without-guards", ...tested],
        ],
      })),
    ),
    {
      name: "memcheck of graphs",
      seconds: 20,
      needs: "compute-sanitizer",
      command: [
        "compute-sanitizer",
        "--tool",
        "memcheck",
        "--error-exitcode",
        "1",
        program,
        "graphs",
        "streams",
      ],
    },
  ];
}

// ---- how fast is it? -------------------------------------------------------------------------------------------

/** Ours, PyTorch's, ours again: a machine that slows down meanwhile shows. */
function speed(context) {
  const { emulator } = context;
  const batch = emulator ? 2 : 128;
  const tasks = [
    ["training", batch, "bf16"],
    ["inference", batch, "bf16"],
    ["training", batch, "float32"],
    ["inference", 1, "bf16"],
  ];
  const kernels = emulator
    ? []
    : [
        ours(context, "kernels, ours", [...onlyKernels, "--kernels", "scan4,conv3x3"], {
          numbers: kernelTimes,
        }),
        withoutWgmma(
          ours(context, "kernels, ours without wgmma", [...onlyKernels, "--kernels", "conv3x3"], {
            numbers: kernelTimes,
          }),
        ),
        theirs(context, "kernels, PyTorch", [...onlyKernels, "--kernels", "scan,conv3x3"], {
          numbers: kernelTimes,
        }),
      ];
  const networks = (emulator ? tasks.slice(1, 2) : tasks).map(([task, images, precision]) => {
    const label = `${task}, batch ${images}, ${precision}`;
    const args = ["--task", task, "--batch", String(images), "--precision", precision];
    return [
      ours(context, `${label}, ours`, args),
      theirs(context, `${label}, PyTorch`, args),
      ours(context, `${label}, ours again`, args),
    ];
  });
  return [...networks.slice(0, 2).flat(), ...kernels, ...networks.slice(2).flat()];
}

const withoutWgmma = (step) => ({ ...step, command: ["env", "MEDMAMBA_CUDA_WGMMA=0", ...step.command] });

const onlyKernels = ["--task", "kernels", "--batch", "128", "--precision", "bf16"];

function ours({ root, device, emulator }, name, args, how = {}) {
  const program = join(root, "bench", "peers", "medmamba.mjs");
  const pace = emulator
    ? ["--warmup", "0", "--repeats", "2", "--budget", "0", "--image-size", "32"]
    : ["--warmup", "3", "--repeats", "10", "--budget", "8"];
  return {
    name,
    seconds: emulator ? 200 : 25,
    command: [process.execPath, program, "--device", device, ...pace, ...args],
    numbers: steps,
    ...how,
  };
}

/** With mamba_ssm's scan where that is installed, or built by bench/peers/build_selective_scan.py. */
function theirs({ root, python, scan }, name, args, how = {}) {
  const program = join(root, "bench", "peers", "pytorch.py");
  const pace = ["--device", "cuda", "--mode", "eager", "--scan", scan, "--warmup", "3", "--repeats", "10"];
  return {
    name: `${name}, ${scan} scan`,
    seconds: 25,
    needs: "PyTorch",
    command: [python, program, ...pace, ...args],
    numbers: steps,
    ...how,
  };
}

// ---- where does the time go? -------------------------------------------------------------------------------------

function profile({ root, device, emulator }) {
  const program = join(root, "bench", "peers", "medmamba.mjs");
  const step = [
    ...[process.execPath, program, "--device", device, "--task", "training", "--precision", "bf16"],
    ...["--batch", emulator ? "1" : "128", "--warmup", "1", "--repeats", "2", "--budget", "0"],
  ];
  const kernels = [
    ["scan backward", "scan_backward_kernel"],
    ["scan forward", "scan_forward_kernel"],
    ["conv3x3", "multiply_tiles.*Pixels|multiply_boxes"],
  ];
  const report = join(root, "build", "gpu-run", "timeline");
  return [
    {
      name: "timeline of a training step",
      seconds: 30,
      needs: "nsys",
      command: [
        ...["nsys", "profile", "--trace", "cuda,nvtx", "--stats", "true", "--force-overwrite", "true"],
        ...["--output", report, ...step],
      ],
    },
    ...kernels.map(([name, pattern]) => ({
      name: `profile of ${name}`,
      seconds: 25,
      needs: "ncu",
      command: [
        ...["ncu", "--set", "full", "--kernel-name-base", "demangled", "--kernel-name", `regex:${pattern}`],
        ...["--launch-count", "2", ...step],
      ],
    })),
  ];
}

// ---- large shapes, and a training of real images -----------------------------------------------------------------

function large(context) {
  const shape = ["--batch", "256", "--image-size", "448", "--precision", "bf16"];
  const pace = ["--warmup", "1", "--repeats", "3", "--budget", "5"];
  return ["training", "inference"].map((task) => ({
    ...ours(context, `${task}, 448 px, batch 256, bf16`, [...shape, ...pace, "--task", task]),
    ...(context.emulator ? { leftOut: "it is too much for the emulator" } : {}),
  }));
}

function training({ root, device, data, emulator }) {
  const size = emulator ? ["--image-size", "32", "--epochs", "1"] : ["--image-size", "224", "--epochs", "3"];
  const run = join(root, "build", "gpu-run", "training");
  return [
    {
      name: "training of images",
      seconds: 45,
      ...(data && existsSync(data) ? {} : { leftOut: "there are no data: --data names them" }),
      command: [
        ...[process.execPath, join(root, "dist", "cli", "main.js"), "train", "--data", data ?? ""],
        ...["--out", run, "--overwrite", "--device", device, ...size, "--batch-size", "128", "--json"],
      ],
      numbers: (output) => {
        const { test, seconds } = JSON.parse(output);
        return { auc: test?.auc, accuracy: test?.accuracy, seconds };
      },
    },
  ];
}

// ---- what they print -----------------------------------------------------------------------------------------------

function passedAndFailed(output) {
  const counts = [...output.matchAll(/^(\d+) passed, (\d+) failed$/gm)];
  const sum = (index) => counts.reduce((total, match) => total + Number(match[index]), 0);
  return { passed: sum(1), failed: sum(2) };
}

/** Milliseconds of kernels alone, by medmamba.mjs or pytorch.py. */
function kernelTimes(output) {
  const { rows } = JSON.parse(output.trim().split("\n").at(-1));
  return Object.fromEntries(
    rows.map(({ name, shape, seconds }) => [`${name} ${shape}`, Number((1000 * seconds).toPrecision(3))]),
  );
}

/** Of a step of the network, by medmamba.mjs or pytorch.py. */
function steps(output) {
  const { batch, seconds, peakBytes } = JSON.parse(output.trim().split("\n").at(-1));
  const sorted = [...seconds].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  const round = (value, digits) => Number(value.toPrecision(digits));
  return {
    milliseconds: round(1000 * median, 4),
    imagesPerSecond: round(Number(batch) / median, 4),
    peakMegabytes: Math.round(peakBytes / 1e6),
  };
}
