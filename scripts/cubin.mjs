// Machine code out of a cubin, without NVIDIA's disassembler: what each instruction is, and which of them are a loop.
//
// A cubin is an ELF file with a section ".text.SYMBOL" for each kernel. From sm_70 on an instruction is 128 bits, of
// which this much is needed here. It was compared with what nvdisasm 11.8 says of our kernels for sm_80, sm_90 and sm_90a.
//
//   bits 0-8     what it does           bits 9-11    where its operands are (registers, constants, immediates)
//   bits 12-14   predicate, 7: always   bit 15       its opposite
//   bits 24-31   first register operand, 255: zero
//   bits 34-81   a branch's distance from the next instruction in units of 4 bytes, signed; from sm_90 on these are the
//                upper bits of it, and bits 16-23 the lower
//   bits 87-89   a branch's second predicate             bit 91    BRA.DIV: goes where a warp's threads are not together
//
// In our kernels a warp's threads are together wherever they meet: BRA.DIV is taken to go nowhere.
import { readFileSync } from "node:fs";

/** Classes of instructions, in the order of tables. */
export const classes = [
  "float", // multiplies, adds, comparisons of float32; double precision
  "special", // MUFU: exp2, reciprocals
  "tensor", // HMMA, HGMMA
  "shuffle", // between the lanes of a warp
  "shared", // shared memory: LDS, STS, LDSM
  "global", // LDG, STG; LDGSTS and UTMALDG, which copy to shared memory
  "local", // what is spilled
  "convert", // between types of numbers
  "integer", // addresses, counters, comparisons, selections
  "move", // MOV, and IMAD and HFMA2 where they only move
  "control", // branches, barriers, all else
];

// Bits 0-8 in hexadecimal, and nvdisasm's name.
const codes = {
  float:
    "8 FSEL, 9 FMNMX, b FSETP, 20 FMUL, 21 FADD, 23 FFMA, 102 FCHK, 28 DMUL, 29 DADD, " +
    "2a DSETP, 2b DFMA, 30 HADD2, 32 HMUL2, 31 HFMA2, 35 HFMA2",
  special: "108 MUFU",
  tensor: "3c HMMA, 1f0 HGMMA",
  shuffle: "189 SHFL, 6 VOTE",
  shared: "184 LDS, 188 STS, 3b LDSM",
  global: "181 LDG, 186 STG, 1ae LDGSTS, 1b4 UTMALDG, 180 LD, 185 ST",
  local: "183 LDL, 187 STL",
  convert: "3e F2FP, 45 I2FP, 104 F2F, 110 F2F, 105 F2I, 111 F2I, 106 I2F, 112 I2F, 107 FRND, " + "113 FRND",
  move: "2 MOV, 5 CS2R, 82 UMOV, ca R2UR, 1c2 R2UR, 119 S2R, 1c3 S2UR",
  integer:
    "3 P2R, 4 R2P, 7 SEL, c ISETP, 10 IADD3, 11 LEA, 12 LOP3, 13 IABS, 16 PRMT, 17 IMNMX, " +
    "46 VIADDMNMX, 48 VIMNMX, 19 SHF, 1c PLOP3, 24 IMAD, 25 IMAD.WIDE, 27 IMAD.HI, 36 VIADD, " +
    "87 USEL, 8c UISETP, 90 UIADD3, 91 ULEA, 92 ULOP3, 96 UPRMT, 99 USHF, 9c UPLOP3, " +
    "a4 UIMAD, a5 UIMAD.WIDE, b9 ULDC, bb ULDC, 182 LDC",
  control:
    "118 NOP, 11a DEPBAR, 11b ENDCOLLECTIVE, 11d BAR, 141 BSYNC, 144 CALL, 145 BSSY, " +
    "146 YIELD, 147 BRA, 148 WARPSYNC, 149 BRX, 14d EXIT, 150 RET, 1af LDGDEPBAR, " +
    "1a7 SYNCS, 1b2 SYNCS, 1c5 WARPGROUP, 1c6 FENCE, 2f ELECT",
};
const meanings = new Map(
  Object.entries(codes).flatMap(([kind, list]) =>
    list.split(", ").map((entry) => {
      const [code, name] = entry.split(" ");
      return [Number.parseInt(code, 16), { kind, name }];
    }),
  ),
);
const [always, zero, bytes] = [7, 255, 16];

/**
 * The kernels of a cubin.
 *
 * @returns [{ symbol, instructions: [{ name, kind, target, ends }] }]: `target` is the index that a branch goes to,
 *   `ends` whether the next instruction is never reached from here
 */
export function readCubin(file) {
  const cubin = readFileSync(file);
  if (cubin.readUInt32BE(0) !== 0x7f454c46 || cubin.readUInt16LE(18) !== 190)
    throw new Error(`${file} is no cubin`);
  const headers = Number(cubin.readBigUInt64LE(40));
  const [size, count, names] = [58, 60, 62].map((at) => cubin.readUInt16LE(at));
  const section = (index) => {
    const at = headers + index * size;
    const [offset, length] = [24, 32].map((field) => Number(cubin.readBigUInt64LE(at + field)));
    return { name: cubin.readUInt32LE(at), offset, length };
  };
  const kernels = [];
  for (let index = 0; index < count; index++) {
    const { name, offset, length } = section(index);
    const start = section(names).offset + name;
    const title = cubin.toString("latin1", start, cubin.indexOf(0, start));
    if (!title.startsWith(".text.")) continue;
    const code = cubin.subarray(offset, offset + length);
    kernels.push({ symbol: title.slice(".text.".length), instructions: decode(code, architectureOf(cubin)) });
  }
  return kernels;
}

// 80, 90, ...: the ELF header's flags have it in their lowest byte, and since CUDA 13 in the one above.
function architectureOf(cubin) {
  const flags = cubin.readUInt32LE(48);
  return cubin[8] >= 8 ? (flags >> 8) & 0xff : flags & 0xff;
}

function decode(code, architecture) {
  const instructions = [];
  for (let at = 0; at < code.length; at += bytes) {
    const [low, high] = [code.readBigUInt64LE(at), code.readBigUInt64LE(at + 8)];
    const field = (word, first, count) => Number(BigInt.asUintN(count, word >> BigInt(first)));
    const { kind, name } = meanings.get(field(low, 0, 9)) ?? unknown(field(low, 0, 9));
    const moves = ["IMAD", "HFMA2"].includes(name) && field(low, 24, 8) === zero;
    const instruction = { name: moves ? `${name}.MOV` : name, kind: moves ? "move" : kind, ends: false };
    const predicated = field(low, 12, 3) !== always;
    if (name === "BRA" && field(high, 27, 1) === 0) {
      const upper = BigInt.asIntN(48, (low >> 34n) | (high << 30n));
      const distance = architecture < 90 ? upper : (upper << 8n) | BigInt(field(low, 16, 8));
      instruction.target = (at + Number(distance) * 4) / bytes + 1;
      instruction.ends = !predicated && field(high, 23, 3) === always;
    } else if (["EXIT", "RET", "BRX"].includes(name)) {
      instruction.ends = !predicated;
    }
    instructions.push(instruction);
  }
  return instructions;
}

// Named by its number, so that it stands out.
function unknown(code) {
  return { kind: "control", name: `0x${code.toString(16)}` };
}

/**
 * Loops of a kernel in the order of their first instructions, from the outermost inwards: what is on a way from a
 * branch's target back to the branch, where every way to the branch leads through the target.
 *
 * @returns [{ first, depth, members, own, always }]: sets of indices of instructions, all of them, those in no inner
 *   loop, and those of the latter on every way around
 */
export function loopsOf(instructions) {
  const { ways, origins } = flow(instructions);
  const dominators = immediateDominators(instructions.length, ways, origins);
  const loops = new Map();
  for (const [index, { target }] of instructions.entries()) {
    if (target === undefined || !dominates(dominators, target, index)) continue;
    const { members, branches } = loops.get(target) ?? { members: new Set([target]), branches: [] };
    branches.push(index);
    const pending = [index];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (members.has(next)) continue;
      members.add(next);
      pending.push(...origins[next].filter((origin) => dominators[origin] >= 0));
    }
    loops.set(target, { members, branches });
  }
  const all = [...loops].map(([first, loop]) => ({ first, ...loop })).sort((a, b) => a.first - b.first);
  return all.map(({ branches, ...loop }) => {
    const holding = all.filter(({ first, members }) => first !== loop.first && members.has(loop.first));
    const inner = all.filter(({ first }) => first !== loop.first && loop.members.has(first));
    const own = new Set(
      [...loop.members].filter((index) => !inner.some(({ members }) => members.has(index))),
    );
    const isAlways = (index) => branches.every((branch) => dominates(dominators, index, branch));
    return { ...loop, depth: holding.length, own, always: new Set([...own].filter(isAlways)) };
  });
}

/**
 * The straight pieces of all loops of a kernel: nothing branches into one behind its first instruction, or out of it before
 * its last. To add up those on the way of an ordinary round is how the work around inner loops is counted.
 *
 * @returns [{ first, members, loop, next }]: `loop` is the innermost one, `next` are the pieces that may follow
 */
export function blocksOf(instructions) {
  const { ways, origins } = flow(instructions);
  const loops = loopsOf(instructions).sort((a, b) => b.depth - a.depth);
  const blocks = [];
  for (let index = 0; index < instructions.length; index++) {
    const loop = loops.find(({ members }) => members.has(index));
    if (!loop) continue;
    const before = blocks.at(-1);
    const goesOn = before?.loop === loop && before.next.length === 1 && before.next[0] === index;
    if (goesOn && origins[index].length === 1 && instructions[index - 1].target === undefined)
      before.members.push(index);
    else blocks.push({ first: index, members: [index], loop });
    blocks.at(-1).next = ways[index];
  }
  return blocks;
}

// Where each instruction may go on, and from where it is reached.
function flow(instructions) {
  const ways = instructions.map(({ target, ends }, index) => {
    const next = ends || index + 1 === instructions.length ? [] : [index + 1];
    return target === undefined ? next : [...next, target];
  });
  const origins = instructions.map(() => []);
  for (const [index, nexts] of ways.entries()) for (const next of nexts) origins[next].push(index);
  return { ways, origins };
}

// Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm": numbers are places in reverse postorder.
function immediateDominators(count, ways, origins) {
  const order = reversePostorder(ways);
  const place = new Array(count).fill(-1);
  for (const [position, index] of order.entries()) place[index] = position;
  const immediate = new Array(count).fill(-1);
  immediate[0] = 0;
  const common = (a, b) => {
    while (a !== b) {
      while (place[a] > place[b]) a = immediate[a];
      while (place[b] > place[a]) b = immediate[b];
    }
    return a;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const index of order.slice(1)) {
      const known = origins[index].filter((origin) => immediate[origin] >= 0);
      const dominator = known.reduce(common);
      if (immediate[index] !== dominator) changed = true;
      immediate[index] = dominator;
    }
  }
  return immediate;
}

function reversePostorder(ways) {
  const [order, seen, stack] = [[], new Set([0]), [[0, 0]]];
  while (stack.length > 0) {
    const top = stack.at(-1);
    const next = ways[top[0]][top[1]++];
    if (next === undefined) order.push(stack.pop()[0]);
    else if (!seen.has(next)) {
      seen.add(next);
      stack.push([next, 0]);
    }
  }
  return order.reverse();
}

function dominates(immediate, dominator, index) {
  if (immediate[index] < 0) return false; // never reached
  while (index !== dominator && index !== 0) index = immediate[index];
  return index === dominator;
}
