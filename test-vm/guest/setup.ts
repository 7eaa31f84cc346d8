/**
 * Sets up what a guest run needs, once for all clones: `node test-vm/guest/setup.ts`.
 * Idempotent; safe to run twice at the same time; an interrupted run is redone by the next.
 */
import { accessSync, constants, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { withLock, writeAtomic } from './src/cache.ts';
import { type GuestEnvironment, guestDir, loadEnvironment, stampPath } from './src/environment.ts';
import { GuestError } from './src/errors.ts';
import { findQemu, makeTree } from './src/tree.ts';

/** How {@link setupGuest} reports. */
export interface SetupOptions {
  /** One line of progress; default: stderr. */
  readonly log?: (line: string) => void;
}

/**
 * Why this machine cannot have a guest, in one line; undefined when it can be tried.
 * An earlier set-up that is whole counts, also where apt has gone since.
 */
export function guestUnsupported(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `the guest is set up on linux x64 only, this is ${process.platform} ${process.arch}`;
  }
  if (loadEnvironment() !== undefined) return undefined;
  const missing = ['apt-get', 'apt-cache', 'dpkg-deb', 'flock'].filter((program) => !onPath(program));
  return missing.length === 0 ? undefined : `the guest's packages come from apt, and ${missing.join(', ')} is not here`;
}

function onPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Returns the environment, making it first when it is not there.
 * @throws GuestError ERR_GUEST_UNSUPPORTED (skip the guest suites, loudly), ERR_GUEST_SETUP, ERR_GUEST_COMMAND
 */
export async function setupGuest(options: SetupOptions = {}): Promise<GuestEnvironment> {
  const log = options.log ?? ((line: string) => process.stderr.write(`guest set-up: ${line}\n`));
  const reason = guestUnsupported();
  if (reason !== undefined) throw new GuestError('ERR_GUEST_UNSUPPORTED', reason);
  const ready = loadEnvironment();
  // The tree is keyed by its recipe, but PATH may have changed since.
  if (ready !== undefined) return { ...ready, qemu: await findQemu(ready.root) };
  const onWait = () => log('another set-up is running, waiting for it');
  return withLock('guest-setup', () => make(log), { onWait });
}

async function make(log: (line: string) => void): Promise<GuestEnvironment> {
  const made = loadEnvironment();
  if (made !== undefined) return made;
  const dir = guestDir();
  const start = performance.now();
  log(`making ${dir}`);
  rmSync(dir, { recursive: true, force: true });
  const environment = await makeTree(dir, log);
  writeAtomic(stampPath(dir), `${JSON.stringify(environment, null, 2)}\n`);
  log(`done in ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return environment;
}

/** The versions found, one line each. */
export function describeEnvironment(environment: GuestEnvironment): string {
  const { qemu, kernel, virtiofsd, gcc, packages } = environment;
  return [
    `tree       ${environment.root}`,
    `QEMU       ${qemu.version} (${qemu.from})`,
    `kernel     ${kernel.release}`,
    `libc-dev   ${packages['linux-libc-dev']}`,
    `virtiofsd  ${virtiofsd.version}`,
    `gcc        ${gcc.version}`,
  ].join('\n');
}

if (import.meta.main) {
  try {
    process.stdout.write(`${describeEnvironment(await setupGuest())}\n`);
  } catch (error) {
    process.stderr.write(`${error instanceof GuestError ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
