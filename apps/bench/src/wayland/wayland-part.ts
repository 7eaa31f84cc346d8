/** A Wayland client in a guest against the same one on the host: sway, a VM, all cases. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  compileProbe,
  exec,
  type Sway,
  setupGuest,
  startSway,
  WaylandMachine,
  waylandTree,
} from '@oriel/test-vm-guest';
import { BenchError } from '../errors.ts';
import { median } from '../median.ts';
import type { BenchOptions } from '../options.ts';
import { say } from '../progress.ts';
import {
  type CpuShares,
  type GuestRun,
  summarizeWayland,
  type WaylandCase,
  type WaylandReport,
} from './wayland-report.ts';
import { WAYLAND_WORKLOADS, type WaylandWorkload } from './workloads.ts';

const PROBE = join(import.meta.dirname, '../../../../test-vm/guest/probes/wlround.c');
/** USER_HZ of proc(5). */
const TICK_US = 10_000;
const NS_PER_US = 1000;

/** CPU time of a process and its threads so far, µs. */
function cpuUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

/** The median of the times that the probe printed. @throws BenchError when they are not all there */
function medianUs(output: string, count: number): number {
  const times = output.trim().split('\n').map(Number);
  if (times.length !== count || times.some(Number.isNaN)) throw new BenchError('ERR_BENCH_ANSWER', output);
  return median(times) / NS_PER_US;
}

async function runInGuest(machine: WaylandMachine, sway: Sway, { what, count }: WaylandWorkload): Promise<GuestRun> {
  const pids = { guest: machine.guest.pid, oriel: machine.backend.pid, compositor: sway.process.pid };
  const spent = (): CpuShares => ({
    guest: cpuUs(pids.guest),
    oriel: cpuUs(pids.oriel),
    compositor: cpuUs(pids.compositor),
  });
  const before = spent();
  // The probe is outside of the tree that clients of the guest are run from, and static.
  const output = await machine.guest.ok(`${machine.settings()} wlround ${what} ${count}`);
  const after = spent();
  const share = (of: keyof CpuShares) => (after[of] - before[of]) / count;
  const cpu = { guest: share('guest'), oriel: share('oriel'), compositor: share('compositor') };
  return { us: medianUs(output, count), cpu };
}

/** Measures. @throws BenchError for a wrong answer; GuestError where the VM or the compositor does not start */
export async function measureWayland(options: BenchOptions): Promise<WaylandReport> {
  const environment = await setupGuest();
  const root = await waylandTree();
  const probe = await compileProbe(environment, PROBE);
  await using resources = new AsyncDisposableStack();
  const dir = mkdtempSync(join(tmpdir(), 'oriel-bench-wl-'));
  resources.defer(() => rmSync(dir, { recursive: true, force: true }));
  const sway = resources.use(await startSway({ root, dir: join(dir, 'sway') }));
  const compositor = sway.socketPath;
  const machine = resources.use(await WaylandMachine.open({ environment, root, dir: join(dir, 'vm'), compositor }));
  const env = { XDG_RUNTIME_DIR: sway.dir, WAYLAND_DISPLAY: 'wayland-1' };
  const cases: WaylandCase[] = [];
  for (const name of options.waylandWorkloads) {
    const workload = WAYLAND_WORKLOADS[name]!;
    const { what, count, bytes } = workload;
    const host: number[] = [];
    const guest: GuestRun[] = [];
    for (let round = 0; round <= options.rounds; round++) {
      const here = medianUs(await exec([probe.path, what, String(count)], { env }), count);
      const there = await runInGuest(machine, sway, workload);
      // The first round is a warm-up.
      if (round === 0) continue;
      host.push(here);
      guest.push(there);
    }
    const one = { workload: name, bytes, host, guest };
    cases.push(one);
    say(`${name}: ${summarizeWayland(one).ratio.toFixed(1)} times the host's`);
  }
  return { cases };
}
