/** Processes that a sandboxed one starts before it has less than they. */
import { spawn } from 'node:child_process';
import { check, type Sys } from '@oriel/sys';
import { moduleUrl } from '../module-url.ts';
import { type GuardEnds, KEEPER_ENDS } from './guard/guard-ends.ts';

/** Who waits outside: a process, and the descriptor at which it listens. */
export interface Outsider {
  readonly pid: number;
  readonly fd: number;
}

/** A program of this package as a command. */
export function ownProgram(name: string, argument: string): readonly string[] {
  return [process.execPath, ...process.execArgv, moduleUrl(name).pathname, argument];
}

function start(command: readonly string[], stdio: readonly (number | 'ignore' | 'inherit')[]): number {
  const child = spawn(command[0]!, command.slice(1), { stdio: [...stdio], detached: true });
  if (child.pid === undefined) {
    throw new Error(`cannot start ${command[0]}`);
  }
  // Should this process end for want of something, it waits for nobody who waits for it.
  child.unref();
  return child.pid;
}

/**
 * Starts somebody who waits for a line.
 * @param output - lent, for what it says
 * @param more - lent, its descriptors from 3 on
 * @throws SysError, Error
 */
export function startOutsider(
  sys: Pick<Sys, 'fd'>,
  command: readonly string[],
  output: number | 'ignore' = 'ignore',
  more: readonly number[] = [],
): Outsider {
  const pipe = new Int32Array(2);
  check(sys.fd.pipe(pipe), 'pipe2');
  const pid = start(command, [pipe[0]!, output, 'inherit', ...more]);
  sys.fd.close(pipe[0]!);
  return { pid, fd: pipe[1]! };
}

function pairOf(sys: Pick<Sys, 'socket'>): Int32Array {
  const pair = new Int32Array(2);
  check(sys.socket.socketpair(pair), 'socketpair');
  return pair;
}

/** Starts the keeper of the guard of this process's mapped files: see `GuardKeeper`. @throws SysError, Error */
export function startKeeper(sys: Pick<Sys, 'fd' | 'socket'>): GuardEnds {
  const calls = pairOf(sys);
  const events = pairOf(sys);
  const stdio: (number | 'ignore' | 'inherit')[] = ['ignore', 'ignore', 'inherit'];
  stdio[KEEPER_ENDS.calls] = calls[1]!;
  stdio[KEEPER_ENDS.events] = events[1]!;
  start(ownProgram('sandbox/guard/keeper', String(process.pid)), stdio);
  sys.fd.close(calls[1]!);
  sys.fd.close(events[1]!);
  return { calls: calls[0]!, events: events[0]! };
}
