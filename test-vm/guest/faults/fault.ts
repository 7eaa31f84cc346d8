/**
 * What the scripts of this folder have in common. Each is the smallest way to one fault of stock QEMU 11.1 that a back-end
 * cannot prevent: `node --conditions=@oriel/source test-vm/guest/faults/NAME.ts`. Status 0: the fault is there, as
 * docs/vmm/qemu.md says; 1: it is not.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Guest } from '../boot.ts';
import { setupGuest } from '../setup.ts';
import type { GuestEnvironment } from '../src/environment.ts';

/** A way to a fault. */
export interface Fault {
  /** What is done, in a sentence. */
  readonly trigger: string;
  /** How QEMU ends: the signal, or null where it lives on. */
  readonly ends: NodeJS.Signals | null;
  /** Does it, and gives the guest that it was done to; what `keep` gets is disposed afterwards, last first. */
  run(environment: GuestEnvironment, dir: string, keep: <T extends AsyncDisposable>(it: T) => T): Promise<Guest>;
}

/** How long QEMU may take to die of it. */
const END_MS = 60_000;

/** Shows a fault, and sets the exit status of this program. */
export async function show(fault: Fault): Promise<void> {
  const environment = await setupGuest();
  const dir = mkdtempSync(join(tmpdir(), 'oriel-fault-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(dir, { recursive: true, force: true }));
  process.stdout.write(`QEMU ${environment.qemu.version}: ${fault.trigger}\n`);
  const guest = await fault.run(environment, dir, (it) => stack.use(it));
  const exit = fault.ends === null ? undefined : await guest.waitExit({ timeoutMs: END_MS }).catch(() => undefined);
  const seen = exit === undefined ? 'QEMU is running' : `QEMU ended: ${exit.signal ?? exit.code}`;
  process.stdout.write(`${seen}\n${guest.stderr}`);
  const expected = fault.ends === null ? guest.alive : exit?.signal === fault.ends;
  process.exitCode = expected ? 0 : 1;
}
