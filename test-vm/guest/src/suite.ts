/** What every guest suite needs: an environment, and a folder that goes away. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guestUnsupported, setupGuest } from '../setup.ts';
import type { GuestEnvironment } from './environment.ts';

export interface SuiteContext {
  /** Set before the first test. */
  readonly environment: GuestEnvironment;
  /** A new empty folder for one test or one guest. */
  folder(name: string): string;
}

/** Registers the hooks of a suite in the present `describe`; skips it, loudly, where no guest can run. */
export function guestSuite(name: string): SuiteContext {
  let environment: GuestEnvironment | undefined;
  let base = '';
  let folders = 0;
  before(async function () {
    this.timeout(600_000);
    const reason = guestUnsupported();
    if (reason !== undefined) {
      process.stderr.write(`GUEST SUITE SKIPPED: ${reason}\n`);
      this.skip();
    }
    environment = await setupGuest();
    base = mkdtempSync(join(tmpdir(), `oriel-${name}-`));
  });
  after(() => {
    if (base !== '') rmSync(base, { recursive: true, force: true });
  });
  return {
    get environment() {
      if (environment === undefined) throw new Error('the suite has not begun');
      return environment;
    },
    folder(of) {
      const path = join(base, `${folders++}-${of}`);
      mkdirSync(path);
      return path;
    },
  };
}
