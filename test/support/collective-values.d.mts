export function drawn(seed: number, length: number): Float32Array<ArrayBuffer>;
export function ofRank(rank: number, length: number): Float32Array<ArrayBuffer>;
