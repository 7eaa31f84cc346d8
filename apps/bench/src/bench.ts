/** One invocation: the parts that are wanted, one after the other, and the report. */
import { writeFileSync } from 'node:fs';
import { measureBlk } from './blk/blk-part.ts';
import { formatBlkTable } from './blk/blk-report.ts';
import { formatFsFloorTable } from './fs-floor/fs-floor-report.ts';
import { measureFs } from './fs-part.ts';
import { measureGpu } from './gpu/gpu-part.ts';
import { formatGpuTable } from './gpu/gpu-report.ts';
import { measureGuest } from './guest/guest-part.ts';
import { formatGuestTable } from './guest/guest-report.ts';
import { describeMachine } from './machine.ts';
import type { BenchOptions } from './options.ts';
import { formatFsTable, formatHead, type Report, toJson } from './report.ts';
import { measureRings } from './rings/rings-part.ts';
import { formatRingsTable } from './rings/rings-report.ts';
import { measureWayland } from './wayland/wayland-part.ts';
import { formatWaylandTable } from './wayland/wayland-report.ts';

/**
 * Measures and reports.
 * @throws BenchError for a wrong answer, a hang, or a back-end that ends; GuestError where one does not start
 */
export async function bench(options: BenchOptions): Promise<Report> {
  const machine = describeMachine();
  const fs = options.workloads.length > 0 ? await measureFs(options) : null;
  const gpu = options.gpuWorkloads.length > 0 ? await measureGpu(options) : null;
  const rings = options.ringWorkloads.length > 0 ? await measureRings(options) : null;
  const blk = options.blkWorkloads.length > 0 ? await measureBlk(options) : null;
  const wayland = options.waylandWorkloads.length > 0 ? await measureWayland(options) : null;
  const guest = options.guestWorkloads.length > 0 ? await measureGuest(options) : null;
  const report = { machine, options, fs, gpu, rings, blk, wayland, guest };
  if (options.json !== undefined) writeFileSync(options.json, toJson(report));
  process.stdout.write(`${formatHead(report)}\n`);
  if (fs !== null) process.stdout.write(`\n${formatFsTable(fs)}\n`);
  const floors = fs === null ? null : formatFsFloorTable(fs);
  if (floors !== null) process.stdout.write(`\n${floors}\n`);
  if (gpu !== null) process.stdout.write(`\n${formatGpuTable(gpu)}\n`);
  if (rings !== null) process.stdout.write(`\n${formatRingsTable(rings)}\n`);
  if (blk !== null) process.stdout.write(`\n${formatBlkTable(blk)}\n`);
  if (wayland !== null) process.stdout.write(`\n${formatWaylandTable(wayland)}\n`);
  if (guest !== null) process.stdout.write(`\n${formatGuestTable(guest)}\n`);
  return report;
}
