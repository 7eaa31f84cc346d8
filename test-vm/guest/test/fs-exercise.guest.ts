/** Random operations on one file, compared with a model after each read: probes/exercise.c has what fsx does. */
import { createHash, randomInt } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  complaints,
  type DaxShare,
  guestSuite,
  type HostProcess,
  openDaxShare,
  orielDevice,
  startOrielFs,
} from '../index.ts';

const OPERATIONS = 100_000;
/** FUSE passes neither COLLAPSE_RANGE nor INSERT_RANGE on. */
const REFUSED = ['collapse'];

describe('random operations on a file', () => {
  const suite = guestSuite('fs-exercise');
  let share: DaxShare;
  let other: HostProcess;

  before(async function () {
    this.timeout(120_000);
    const dir = suite.folder('exercise');
    const socketPath = join(dir, 'other.sock');
    mkdirSync(join(dir, 'other'));
    other = await startOrielFs({ socketPath, sharedDir: join(dir, 'other'), tag: 'other', window: '0' });
    const qemuArgs = orielDevice(socketPath, 'other');
    share = await openDaxShare({ environment: suite.environment, dir, boot: { qemuArgs } });
    await share.guest.ok(
      'mkdir /other && mount -t virtiofs other /other && mount -t virtiofs -o dax=always share /mnt',
    );
  });
  after(async () => {
    await share?.[Symbol.asyncDispose]();
    await other?.stop();
  });

  it(`a file holds what it was given, for ${OPERATIONS} operations with DAX and ${OPERATIONS} without`, async function () {
    this.timeout(850_000);
    const seed = Number(process.env['ORIEL_SEED'] ?? randomInt(2 ** 31));
    this.test!.title += ` (ORIEL_SEED=${seed})`;
    // Both at a time: the guest has two processors.
    const one = (path: string): string => `exercise ${path} ${seed} ${OPERATIONS} >/tmp/$(basename ${path}) 2>&1`;
    const script = `${one('/mnt/dax')} & a=$!; ${one('/other/plain')} & b=$!; wait $a && wait $b`;
    const { code } = await share.guest.run(script, { timeoutMs: 840_000 });
    const output = await share.guest.ok('tail -c 9000 /tmp/dax /tmp/plain');
    expect(code, output).to.equal(0);
    const counts = [...output.matchAll(/(\w+)=(\d+)/g)].map(([, name, count]) => [name!, Number(count)] as const);
    expect(counts.filter(([, count]) => count === 0).map(([name]) => name)).to.deep.equal([...REFUSED, ...REFUSED]);
    const sums = await share.guest.ok('sha256sum </mnt/dax; sha256sum </other/plain; statx /mnt/dax /other/plain');
    expect(sums).to.match(/dax=1 .*dax=0 /s);
    for (const path of ['share/dax', 'other/plain']) {
      expect(sums).to.include(
        createHash('sha256')
          .update(readFileSync(join(share.hostDir, '..', path)))
          .digest('hex'),
      );
    }
    expect([...complaints(share.backend), ...complaints(other)]).to.deep.equal([]);
  });
});
