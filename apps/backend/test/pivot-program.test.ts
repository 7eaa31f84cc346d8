import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';

/** Node takes SIGTERM and SIGINT for itself from its start. */
const SIGHUP = 1n;

/** proc_pid_status(5): signals that a process takes itself. */
function takes(pid: number, signal: bigint): boolean {
  const [, caught] = /^SigCgt:\s+([\da-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return ((BigInt(`0x${caught}`) >> (signal - 1n)) & 1n) === 1n;
}

describe('who pivots for a process that goes into its sandbox', function () {
  this.timeout(10_000);

  it('stays when all processes are told to end, and ends with the one that it waits for', async () => {
    const script = new URL('../src/sandbox/pivot.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, ['--conditions=@oriel/source', script, '{}'], {
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    const ended = once(child, 'exit');
    while (!takes(child.pid!, SIGHUP)) await turn();
    child.kill('SIGTERM');
    child.stdin.end();
    expect(await ended).to.deep.equal([0, null]);
  });
});
