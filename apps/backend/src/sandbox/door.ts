/** The moment in which a process that has everything it needs gives up the rest; and its end, for which it needs help. */
import { lstatSync, writeSync } from 'node:fs';
import {
  check,
  SECCOMP_FILTER_FLAG_TSYNC,
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_RET_LOG,
  SECCOMP_RET_TRAP,
  type Sys,
  seccompFilter,
} from '@oriel/sys';
import { allowedCalls } from './allowed-calls.ts';
import { capabilityWords } from './capabilities.ts';
import type { CellPlan, Gate } from './device-cell.ts';
import { enterDirectory } from './enter-directory.ts';
import type { GuardEnds } from './guard/guard-ends.ts';
import type { Outsider } from './outsider.ts';
import type { SandboxPlan } from './sandbox-plan.ts';

const ACTIONS = { kill: SECCOMP_RET_KILL_PROCESS, trap: SECCOMP_RET_TRAP, log: SECCOMP_RET_LOG } as const;

/** Who was started, and what was opened, before the process had less than its starter. */
export interface Outsiders {
  /** Pivots; null where there is nothing to pivot. */
  readonly pivot: Outsider | null;
  /** Removes socket files. */
  readonly cleaner: Outsider;
  /** Guards mapped files; null: nobody does. */
  readonly guard: GuardEnds | null;
  /** A descriptor of the share, whose mounts a launcher holds; null: it is where its path leads. */
  readonly share: number | null;
}

/** device:inode of a socket file, as `stat -c %d:%i` prints it. */
function identity(path: string): string {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? '-' : `${found.dev}:${found.ino}`;
}

/** Between a process and what it gives up. */
export class Door {
  readonly #sys: Pick<Sys, 'sandbox'>;
  readonly #plan: SandboxPlan;
  readonly #outsiders: Outsiders;
  #sockets: readonly string[] = [];
  #closed = false;

  constructor(sys: Pick<Sys, 'sandbox'>, plan: SandboxPlan, outsiders: Outsiders) {
    this.#sys = sys;
    this.#plan = plan;
    this.#outsiders = outsiders;
  }

  /** What a device's thread is told of it. */
  cell(gate: Gate): CellPlan {
    const { guard, share } = this.#outsiders;
    return { plan: this.#plan, gate: gate.state, share, guard };
  }

  /**
   * Closes it behind all threads, for good: no file elsewhere can be opened, no module loaded, no process started.
   * @throws SysError, Error: the process must end
   */
  close(): void {
    const { sandbox } = this.#sys;
    const { mode, seccomp, sharedDir, capabilities } = this.#plan;
    this.#sockets = this.#plan.sockets.map(identity);
    this.#closed = true;
    if (this.#outsiders.pivot !== null) {
      const { fd, pid } = this.#outsiders.pivot;
      writeSync(fd, '\n');
      if (check(sandbox.waitChild(pid), 'wait4') !== 0) {
        throw new Error('the sandbox cannot be closed');
      }
    }
    if (mode === 'chroot') {
      enterDirectory(sandbox, sharedDir);
      check(sandbox.setCapabilities(capabilityWords(capabilities)), 'capset');
    }
    if (seccomp !== 'none') {
      const filter = seccompFilter(allowedCalls(process.pid, process.arch), ACTIONS[seccomp], process.arch);
      const thread = check(sandbox.loadFilter(filter, SECCOMP_FILTER_FLAG_TSYNC), 'seccomp');
      if (thread !== 0) {
        throw new Error(`seccomp: thread ${thread} has a filter of its own`);
      }
    }
  }

  /** Has the socket files removed that were there when the door closed, and waits until they are. */
  removeSockets(): void {
    const { cleaner } = this.#outsiders;
    if (!this.#closed) {
      return;
    }
    this.#closed = false;
    writeSync(cleaner.fd, this.#sockets.map((one) => `${one}\n`).join(''));
    this.#sys.sandbox.waitChild(cleaner.pid);
  }
}
