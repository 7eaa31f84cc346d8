/**
 * `npm test`: types, lint, unit and integration tests, the loopback VM, the guest suites. Each part runs even when an earlier
 * one failed; the last line counts them all.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guestSuiteMissing } from './guest-suite.ts';

interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

interface Report {
  passes: number;
  failures: number;
  pending: number;
  failed: readonly { name: string; why: string }[];
}

/** Said once more at the end, as the output of a whole run is longer than anybody keeps. */
const failures: string[] = [];
/** Characters of a failure said again: its message and the first frames. */
const FAILURE_LENGTH = 1500;
const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
const reports = mkdtempSync(join(tmpdir(), 'oriel-test-'));

function section(title: string): void {
  console.log(`\n== ${title}`);
}

function failed(what: string): void {
  console.log(`FAILED: ${what}`);
  failures.push(what);
}

/** A command that counts as one test. */
function command(title: string, argv: readonly [string, ...string[]]): boolean {
  section(title);
  const result = spawnSync(argv[0], argv.slice(1), { stdio: ['ignore', 'inherit', 'inherit'] });
  const ok = result.status === 0;
  totals[ok ? 'passed' : 'failed']++;
  if (!ok) failed(`${argv.join(' ')} (${result.status ?? result.signal})`);
  return ok;
}

/** A mocha run; its tests are counted one by one. */
function mocha(title: string, args: readonly string[]): void {
  section(title);
  const report = join(reports, `${totals.passed}-${totals.failed}.json`);
  const argv = [...args, '--reporter', './.ci/reporter.cjs', '--reporter-option', `output=${report}`];
  const result = spawnSync('mocha', argv, { stdio: ['ignore', 'inherit', 'inherit'] });
  let stats: Report;
  try {
    stats = JSON.parse(readFileSync(report, 'utf8')) as Report;
  } catch {
    totals.failed++;
    failed(`${title} ended without a report (${result.status ?? result.signal})`);
    return;
  }
  totals.passed += stats.passes;
  totals.failed += stats.failures;
  totals.skipped += stats.pending;
  for (const { name, why } of stats.failed) failures.push(`${name}\n${why.slice(0, FAILURE_LENGTH)}`);
  if (result.status !== 0 && stats.failures === 0) {
    totals.failed++;
    failed(`${title} exited with ${result.status ?? result.signal}`);
  }
}

// First, as some unit tests compare layouts with the C headers of its Debian tree.
const missing = guestSuiteMissing();
const guestReady = missing === null && command('guest set-up', ['node', 'test-vm/guest/setup.ts']);
command('types', ['tsc', '--noEmit']);
command('lint', ['biome', 'check', '.']);
command('floors', ['node', '.ci/floors.ts']);
command('packages as a user installs them', ['node', '.ci/packages.ts']);
mocha('unit and integration tests', []);
command('loopback VM', ['node', 'test-vm/loopback/start.ts']);

if (guestReady) {
  mocha('guest suites', ['--config', 'test-vm/guest/.mocharc.json']);
} else if (missing !== null && !process.env['CI']) {
  totals.skipped++;
  console.log(`\nSKIPPED, LOUDLY: the guest suites (real QEMU, real Linux): ${missing}`);
} else if (missing !== null) {
  totals.failed++;
  failed(`the guest suites cannot run here: ${missing}`);
}

rmSync(reports, { recursive: true });
if (failures.length > 0) section('failures');
for (const failure of failures) console.log(`${failure}\n`);
console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(totals.failed === 0 ? 0 : 1);
