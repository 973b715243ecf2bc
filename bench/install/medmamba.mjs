import { MedMamba, noGrad, randn } from "medmamba";

const model = new MedMamba({ variant: "tiny", numClasses: 2 }).eval();
await noGrad(() => model.forward(randn([1, 3, 224, 224]))).data();
