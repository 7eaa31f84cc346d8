/** The driver's process for virtio-gpu: guest and VMM in one thread, one run at a time, told what to do over IPC. */
import { openSys } from '@oriel/sys';
import type { PrepareCommand, RunCommand } from '../../driver/protocol.ts';
import { Runner, type RunResult } from '../../driver/runner.ts';
import { serveCommands } from '../../driver/serve.ts';
import { GPU_WORKLOADS } from '../workloads.ts';
import type { GpuCommand } from './command.ts';
import { GpuSession } from './session.ts';
import type { GpuWork } from './work.ts';

/** A command to this process. */
export type GpuDriverCommand =
  | { readonly kind: 'connect'; readonly side: string; readonly socketPath: string }
  | PrepareCommand
  | RunCommand;

const sys = openSys();
let session: GpuSession | null = null;
let runner: Runner<GpuCommand> | null = null;
let work: GpuWork | null = null;

function carryOut(command: GpuDriverCommand): RunResult | null {
  if (command.kind === 'connect') {
    session = new GpuSession(sys, command.socketPath);
    runner = new Runner(session);
    return null;
  }
  if (command.kind === 'prepare') {
    work?.[Symbol.dispose]();
    work = GPU_WORKLOADS[command.workload]!.make(session!);
    runner!.verify(work);
    return null;
  }
  return runner!.run(work!, command.depth, command.seconds, command.pid);
}

serveCommands(carryOut);
