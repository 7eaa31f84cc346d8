import { statSync } from 'node:fs';
import type { GrowthStep } from '@oriel/fs-dax';
import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { codeOf, digest, pattern } from './support/bytes.ts';
import { MIB, Share } from './support/share.ts';

const ODD = 3 * MIB + 1234;
const GROWN = 2 * DAX_RANGE;

/** The file's size on the host when the process dies at each step of a growth. */
const STEPS: readonly [GrowthStep, number][] = [
  ['recorded', ODD],
  ['grown', GROWN],
  ['mapped', GROWN],
  ['shrunk', ODD],
  ['cleared', ODD],
];

/** Asks for the mapping that makes the back-end grow the file, and die of it. */
async function die(share: Share): Promise<void> {
  const { vm, client } = share.mount('always');
  try {
    const { nodeid } = client.lookup('odd');
    expect(codeOf(() => client.setupMapping(nodeid, DAX_RANGE, 0, DAX_RANGE, true))).to.equal('ERR_LOOPBACK_GONE');
  } finally {
    vm.crash();
  }
  expect(await share.backend.exited()).to.equal('SIGKILL');
}

describe('a back-end that is killed while a file is grown for a mapping', () => {
  for (const [step, sizeAtDeath] of STEPS) {
    it(`leaves a file that its next start mends: killed at '${step}'`, async () => {
      await using share = await Share.start({ tail: 'grow', dieAt: step });
      const bytes = share.put('odd', pattern(ODD, 81));
      await die(share);
      expect(statSync(share.path('odd')).size).to.equal(sizeAtDeath);
      await share.startBackend({ dieAt: null });
      expect(digest(share.get('odd'))).to.equal(digest(bytes));
      expect(share.backend.log.includes('shortened a file')).to.equal(sizeAtDeath !== ODD);
      using mounted = share.mount('always');
      const seen = new Uint8Array(ODD);
      mounted.dax.read(mounted.client.lookup('odd').nodeid, 0, seen);
      expect(digest(seen)).to.equal(digest(bytes));
    });
  }

  it('leaves a file alone that somebody else has resized since', async () => {
    await using share = await Share.start({ tail: 'grow', dieAt: 'grown' });
    share.put('odd', pattern(ODD, 82));
    await die(share);
    const bytes = share.put('odd', pattern(ODD + 77, 83));
    await share.startBackend({ dieAt: null });
    expect(digest(share.get('odd'))).to.equal(digest(bytes));
  });

  it('leaves a file alone that was put in place of the grown one', async () => {
    await using share = await Share.start({ tail: 'grow', dieAt: 'grown' });
    share.put('odd', pattern(ODD, 84));
    await die(share);
    const bytes = share.replace('odd', pattern(GROWN, 85));
    await share.startBackend({ dieAt: null });
    expect(digest(share.get('odd'))).to.equal(digest(bytes));
    expect(share.backend.log).to.include('another file stands at the path');
  });
});
