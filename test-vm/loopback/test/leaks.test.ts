import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { pattern } from './support/bytes.ts';
import { MIB, Share } from './support/share.ts';

const ROUNDS = 10;
/** Looks at the back-end, which has work to do behind a disconnect, before a difference counts as a leak. */
const LOOKS = 50;

describe('what a back-end process has open', () => {
  let share: Share;

  before(async () => {
    share = await Share.start({ tail: 'copy' });
    share.put('file', pattern(8 * MIB + 100, 71));
    // Whatever is opened at first use is open from here on.
    work('crash');
    work('close');
  });

  after(() => share?.[Symbol.asyncDispose]());

  /** Mounts, maps, opens, and leaves everything as it is. */
  function work(end: 'crash' | 'close' | 'reset'): void {
    const { vm, client, dax } = share.mount('always');
    try {
      const file = client.open('file');
      dax.read(file.nodeid, 0, new Uint8Array(file.size));
      client.list();
      if (end === 'reset') {
        vm.reset();
        dax.forgetAll();
        client.mount('always');
        dax.read(client.open('file').nodeid, 0, new Uint8Array(DAX_RANGE));
      }
    } finally {
      if (end === 'close') vm[Symbol.dispose]();
      else vm.crash();
    }
  }

  /** Numbers of sockets and inodes differ from round to round. */
  function stock(): string {
    const { fds, maps } = share.backend.holdings();
    return [...fds, '--', ...maps].map((name) => name.replace(/\[\d+\]/, '[n]')).join('\n');
  }

  for (const end of ['crash', 'close', 'reset'] as const) {
    it(`is the same after ${ROUNDS} front-ends that end by ${end}`, async () => {
      await share.backend.stats();
      const before = stock();
      for (let round = 0; round < ROUNDS; round++) work(end);
      for (let look = 0; look < LOOKS && stock() !== before; look++) await share.backend.stats();
      expect(stock()).to.equal(before);
      expect(await share.backend.stats()).to.include({ inodes: 1, handles: 0 });
    });
  }

  it('holds no mapping of a file after the last range went', async () => {
    using mounted = share.mount('always');
    const { client, dax } = mounted;
    const { nodeid } = client.lookup('file');
    dax.read(nodeid, 0, new Uint8Array(8 * MIB));
    expect(share.backend.holdings().fds.filter((name) => name.endsWith('/file'))).not.to.deep.equal([]);
    dax.evict(nodeid);
    client.forget(nodeid);
    await share.backend.stats();
    expect(share.backend.holdings().fds.filter((name) => name.endsWith('/file'))).to.deep.equal([]);
  });
});
