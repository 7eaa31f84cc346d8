/** Stops a process as it stands, where a test is to know that it does nothing more. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Sends SIGSTOP. @returns once no thread of the process runs any more */
export async function haltProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  const tasks = `/proc/${pid}/task`;
  const stands = (thread: string): boolean => {
    try {
      return /^State:\s+T/m.test(readFileSync(join(tasks, thread, 'status'), 'utf8'));
    } catch {
      // A thread that ended since the directory was read.
      return true;
    }
  };
  while (!readdirSync(tasks).every(stands)) await new Promise((resolve) => setImmediate(resolve));
}
