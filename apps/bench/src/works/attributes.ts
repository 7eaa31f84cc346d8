/** Attributes of an answer against those that the host's stat gives. */
import type { BigIntStats } from 'node:fs';
import type { Attributes } from '@oriel/fuse';
import { toBigInt } from '@oriel/layout';
import type { Message } from '../driver/message.ts';

const NS = 1_000_000_000n;

/** Compares every field but atime, which reading changes. @throws BenchError ERR_BENCH_ANSWER */
export function expectAttributes(message: Message, attr: Attributes, stats: BigIntStats): void {
  const rows: [name: string, seen: bigint, wanted: bigint][] = [
    ['ino', toBigInt(attr.inoLo, attr.inoHi), stats.ino],
    ['size', BigInt(attr.size), stats.size],
    ['blocks', BigInt(attr.blocks), stats.blocks],
    ['mode', BigInt(attr.mode), stats.mode],
    ['nlink', BigInt(attr.nlink), stats.nlink],
    ['uid', BigInt(attr.uid), stats.uid],
    ['gid', BigInt(attr.gid), stats.gid],
    ['mtime', BigInt(attr.mtime) * NS + BigInt(attr.mtimeNs), stats.mtimeNs],
    ['ctime', BigInt(attr.ctime) * NS + BigInt(attr.ctimeNs), stats.ctimeNs],
  ];
  for (const [name, seen, wanted] of rows) {
    if (seen !== wanted) throw message.wrong(`${name} ${seen}, the host says ${wanted}`);
  }
}
