// What TypeScript has to resolve in every mode of module resolution; never run.
import { type AddonError, crossEntropy, data, keep, MedMamba, nn, type Tensor } from "medmamba";

const model: MedMamba = new MedMamba({ variant: "tiny", numClasses: 2 });
export const loss = (x: Tensor, labels: Tensor): Tensor => crossEntropy(model.forward(x), labels);
export const kept = (x: Tensor): Tensor | null => keep(x.mul(2)).grad;
export const layer = new nn.Linear(2, 3);
export const preprocessing: data.Preprocessing = data.definePreprocessing();
export const tried = (error: AddonError): readonly string[] => error.tried;
