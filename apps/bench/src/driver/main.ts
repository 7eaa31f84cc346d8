/** The driver's process for file systems: guest and front-end for all back-ends, one run at a time, told what to do over IPC. */
import { openSys } from '@oriel/sys';
import { WORKLOADS } from '../workloads.ts';
import type { DriverCommand } from './protocol.ts';
import { Runner, type RunResult } from './runner.ts';
import { serveCommands } from './serve.ts';
import { Session } from './session.ts';
import type { Work } from './work.ts';

interface Side {
  readonly session: Session;
  readonly runner: Runner;
  readonly shareDir: string;
  readonly works: Map<string, Work>;
}

const sys = openSys();
const sides = new Map<string, Side>();

function carryOut(command: DriverCommand): RunResult | null {
  if (command.kind === 'connect') {
    const session = new Session(sys, command.socketPath, command.requestQueues);
    sides.set(command.side, { session, runner: new Runner(session), shareDir: command.shareDir, works: new Map() });
    return null;
  }
  const { session, runner, shareDir, works } = sides.get(command.side)!;
  if (command.kind === 'prepare') {
    const work = WORKLOADS[command.workload]!.make(session, shareDir);
    works.set(command.workload, work);
    runner.verify(work);
    return null;
  }
  const { workload, depth, seconds, pid } = command;
  return runner.run(works.get(workload)!, depth, seconds, pid === 0 ? session.backendPid : pid);
}

serveCommands(carryOut);
