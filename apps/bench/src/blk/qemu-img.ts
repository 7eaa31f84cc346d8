/** `qemu-img bench` on a vhost-user-blk socket. */
import { join } from 'node:path';
import { type GuestEnvironment, HostProcess, treeTool } from '@oriel/test-vm-guest';
import { onCpu, readCpuNs } from '../cpu.ts';
import type { RunResult } from '../driver/runner.ts';
import { BenchError } from '../errors.ts';
import { BLK_BYTES } from './workloads.ts';

/** One run of it. */
export interface QemuImgRun {
  readonly socketPath: string;
  readonly write: boolean;
  readonly depth: number;
  /** Requests. */
  readonly count: number;
  /** Of the program. */
  readonly cpu: number;
  /** Process of the back-end. */
  readonly backendPid: number;
}

/** It says neither how long a request took nor what it cost itself. */
const NOT_KNOWN = Number.NaN;
const LONGEST_MS = 120_000;

/** Runs it. @throws BenchError ERR_BENCH_PEER with its words */
export async function runQemuImg(environment: GuestEnvironment, run: QemuImgRun): Promise<RunResult> {
  const { root } = environment;
  const disk = `driver=virtio-blk-vhost-user,path=${run.socketPath},cache.direct=on`;
  const args = ['bench', ...(run.write ? ['-w'] : []), '-c', String(run.count), '-d', String(run.depth)];
  const tool = [...treeTool(root, 'usr/bin/qemu-img').command, ...args, '-s', String(BLK_BYTES), '--image-opts', disk];
  const env = { QEMU_MODULE_DIR: join(root, 'usr/lib/x86_64-linux-gnu/qemu') };
  const before = readCpuNs(run.backendPid);
  const program = HostProcess.start(onCpu(run.cpu, tool), { name: 'qemu-img', env });
  const completed = program.waitOutput(/Run completed in ([\d.]+) seconds/, LONGEST_MS);
  const cpuNs = completed.then(() => readCpuNs(run.backendPid) - before);
  const { code } = await program.waitExit(LONGEST_MS);
  const seconds = Number(/Run completed in ([\d.]+) seconds/.exec(program.stdout)?.[1]);
  if (code !== 0 || !(seconds > 0)) {
    await completed.catch(() => {});
    throw new BenchError('ERR_BENCH_PEER', `qemu-img: ${program.stdout}${program.stderr}`);
  }
  return {
    ops: run.count,
    seconds,
    p50Us: NOT_KNOWN,
    p99Us: NOT_KNOWN,
    backendCpuUs: (await cpuNs) / 1000,
    driverCpuUs: NOT_KNOWN,
    kicks: NOT_KNOWN,
    sleeps: NOT_KNOWN,
  };
}
