/** The jobs of examples/distributed, as those who start them would: Kubernetes by what it tells its pods, Slurm by itself. */
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { chmod, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { freePort } from "../../src/distributed/spawn.js";
import { type Outcome, run } from "../support/launched.js";
import { program, repository } from "../support/repository.js";
import { writeSides } from "../support/sides.js";
import { root } from "../support/temporary-folder.js";

const small = "--channels 1 --image-size 32 --depths 1,1 --dims 8,16 --epochs 2 --device cpu".split(" ");
const PATH = `${join(root, "bin")}${delimiter}${process.env.PATH}`;

beforeAll(async () => {
  await writeSides(join(root, "scans"), 40);
  mkdirSync(join(root, "bin"));
  const npx = `#!/bin/sh\nshift\nexec "${process.execPath}" "${program}" "$@"\n`;
  await writeFile(join(root, "bin", "npx"), npx);
  await chmod(join(root, "bin", "npx"), 0o755);
}, 60_000);

interface Container {
  readonly command: readonly string[];
  readonly env: readonly { name: string; value?: string; valueFrom?: object }[];
}

const documentsOf = (name: string) =>
  parseAllDocuments(readFileSync(join(repository, "examples", "distributed", name), "utf8")).map((document) =>
    document.toJS(),
  );

/** The pod's command on a small model, in a folder that has the volume's place. */
function start(
  { command: [file = "", ...args] }: Container,
  folder: string,
  environment: object,
): Promise<Outcome> {
  const own = args.map((text) => text.replace(/^\/study\//, ""));
  return run([file, ...own, ...small], folder, { PATH, ...environment });
}

function studyFolder(name: string): string {
  const folder = join(root, name);
  mkdirSync(folder);
  symlinkSync(join(root, "scans"), join(folder, "scans"));
  return folder;
}

describe("indexed-job.yaml", () => {
  const [service, job] = documentsOf("indexed-job.yaml");
  const container: Container = job.spec.template.spec.containers[0];

  /** The container's variables as the pod of an index has them; the first pod is found on this machine. */
  const variables = (index: number, port: number) => {
    const told = container.env.map(({ name, value }) => [name, value]);
    return {
      ...Object.fromEntries(told),
      RANK: `${index}`,
      MASTER_ADDR: "127.0.0.1",
      MASTER_PORT: `${port}`,
    };
  };

  it("names its pods as the service and the variables do", () => {
    const { metadata, spec } = job;
    expect(spec).toMatchObject({ completionMode: "Indexed", completions: spec.parallelism });
    expect(spec.template.spec.subdomain).toBe(service.metadata.name);
    expect(service.spec.selector).toEqual({ "job-name": metadata.name });
    const told = Object.fromEntries(container.env.map(({ name, value }) => [name, value]));
    expect(told).toMatchObject({
      MASTER_ADDR: `${metadata.name}-0.${service.metadata.name}`,
      WORLD_SIZE: String(spec.completions),
    });
    expect(JSON.stringify(container.env)).toContain("job-completion-index");
  });

  it("trains, and once more when its pods are started again", async () => {
    const folder = studyFolder("indexed");
    for (const said of ["There is no checkpoint in run yet: a run begins.", "Nothing was left to train."]) {
      const port = await freePort();
      const token = { MEDMAMBA_JOB_TOKEN: "of the secret" };
      const pods = await Promise.all(
        [0, 1].map((index) =>
          start(container, folder, { ...variables(index, port), ...token, JOB_COMPLETION_INDEX: `${index}` }),
        ),
      );
      for (const { code, stderr } of pods) expect(code, stderr).toBe(0);
      expect(pods[0]?.stdout).toContain(said);
      expect(pods[0]?.stdout).toContain("batch 128 = 2 x 64");
      expect(pods[1]?.stdout).toBe("");
    }
  }, 60_000);
});

describe("pytorch-job.yaml", () => {
  const [{ spec }] = documentsOf("pytorch-job.yaml");
  const { Master, Worker } = spec.pytorchReplicaSpecs;

  it.each([
    // What the training operator sets before and since kubeflow/trainer#1840.
    ["older", (pod: number) => ({ RANK: `${pod}`, WORLD_SIZE: "2" })],
    [
      "newer",
      (pod: number) => ({
        ...{ RANK: `${pod}`, WORLD_SIZE: "2", PET_NNODES: "2", PET_NODE_RANK: `${pod}` },
        PET_NPROC_PER_NODE: "auto",
      }),
    ],
  ])(
    "trains in two pods of an %s operator",
    async (name, told) => {
      const folder = studyFolder(name);
      const port = String(await freePort());
      const pods = await Promise.all(
        [Master, Worker].map((replica, pod) => {
          expect(replica.template.spec.containers[0].name).toBe("pytorch");
          const address = { MASTER_ADDR: "127.0.0.1", MASTER_PORT: port };
          const own = { PET_MASTER_ADDR: "127.0.0.1", PET_MASTER_PORT: port };
          // Without a GPU a pod is one process.
          return start(replica.template.spec.containers[0], folder, {
            ...told(pod),
            ...address,
            ...own,
            MEDMAMBA_JOB_TOKEN: "of the secret",
          });
        }),
      );
      for (const { code, stderr } of pods) expect(code, stderr).toBe(0);
      expect(pods[0]?.stdout).toMatch(/Processes 2, started by .*; batch 256 = 2 x 128/);
    },
    60_000,
  );

  it("starts as many processes in each pod as there are GPUs", async () => {
    const folder = studyFolder("several");
    const port = String(await freePort());
    const pods = await Promise.all(
      [Master, Worker].map((replica, pod) =>
        start(replica.template.spec.containers[0], folder, {
          ...{ RANK: `${pod}`, WORLD_SIZE: "2", MASTER_ADDR: "127.0.0.1", MASTER_PORT: port },
          ...{ MEDMAMBA_PROCESSES: "2", MEDMAMBA_JOB_TOKEN: "of the secret" },
        }),
      ),
    );
    for (const { code, stderr } of pods) expect(code, stderr).toBe(0);
    expect(pods[0]?.stdout).toContain("Processes 4, started by medmamba; batch 256 = 4 x 64");
    expect(pods[1]?.stdout).toBe("");
  }, 60_000);
});
