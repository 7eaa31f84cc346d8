import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { pattern } from './support/bytes.ts';
import { MIB, type Mounted, Share } from './support/share.ts';

const WINDOW = 64 * MIB;
const FILES = 16;
const FILE_BYTES = 32 * MIB;
const RANGES_A_FILE = FILE_BYTES / DAX_RANGE;
const RANGES = FILES * RANGES_A_FILE;
const MARK_BYTES = 64;

/** Where the marked bytes of a range lie: somewhere else in each. */
function markAt(range: number): number {
  return (range * 7919 * MARK_BYTES) % (DAX_RANGE - MARK_BYTES);
}

function mark(range: number, round: number): Uint8Array {
  return pattern(MARK_BYTES, 1000 + range + round * RANGES);
}

/** Every range once, in an order that returns to no file soon. */
function* scattered(): Generator<number> {
  for (let i = 0; i < RANGES; i++) yield (i * 97 + 13) % RANGES;
}

describe('a window of 64 MiB over files of 512 MiB', () => {
  let share: Share;
  let mounted: Mounted;
  let nodeids: number[];

  before(async () => {
    share = await Share.start({ windowSize: WINDOW });
    for (let file = 0; file < FILES; file++) {
      // Sparse: only the marks take room on the host's disk.
      const fd = openSync(share.path(`file${file}`), 'w');
      ftruncateSync(fd, FILE_BYTES);
      for (let i = 0; i < RANGES_A_FILE; i++) {
        const range = file * RANGES_A_FILE + i;
        writeSync(fd, mark(range, 0), 0, MARK_BYTES, i * DAX_RANGE + markAt(range));
      }
      closeSync(fd);
    }
    mounted = share.mount('always', { ramSize: 16 * MIB });
    nodeids = Array.from({ length: FILES }, (_, file) => mounted.client.lookup(`file${file}`).nodeid);
  });

  after(async () => {
    mounted?.[Symbol.dispose]();
    await share?.[Symbol.asyncDispose]();
  });

  function place(range: number): { nodeid: number; offset: number } {
    const offset = (range % RANGES_A_FILE) * DAX_RANGE + markAt(range);
    return { nodeid: nodeids[Math.floor(range / RANGES_A_FILE)]!, offset };
  }

  function read(range: number): Buffer {
    const { nodeid, offset } = place(range);
    const got = Buffer.alloc(MARK_BYTES);
    mounted.dax.read(nodeid, offset, got);
    return got;
  }

  it('shows the right bytes of every range, however often a place in the window is used again', () => {
    const wrong: number[] = [];
    for (const range of scattered()) if (!read(range).equals(mark(range, 0))) wrong.push(range);
    expect(wrong).to.deep.equal([]);
    const { vm } = mounted;
    expect(vm.window.entries()).to.have.length(WINDOW / DAX_RANGE);
    expect(vm.window.stats.maps).to.equal(RANGES);
    expect(vm.window.stats.refused).to.equal(0);
    expect(vm.window.updateErrors).to.deep.equal([]);
  });

  it('puts every store where it belongs', () => {
    for (const range of scattered()) {
      const { nodeid, offset } = place(range);
      mounted.dax.write(nodeid, offset, mark(range, 1));
    }
    const wrong: number[] = [];
    for (const range of scattered()) if (!read(range).equals(mark(range, 1))) wrong.push(range);
    expect(wrong).to.deep.equal([]);
    const host = share.get('file5');
    const first = 5 * RANGES_A_FILE;
    for (let i = 0; i < RANGES_A_FILE; i++) {
      const at = i * DAX_RANGE + markAt(first + i);
      expect(Buffer.from(host.subarray(at, at + MARK_BYTES)).equals(mark(first + i, 1)), `range ${i}`).to.equal(true);
    }
  });

  it('takes a SETUPMAPPING over a range that was never removed', () => {
    const { client, vm } = mounted;
    client.unmount();
    mounted.dax.forgetAll();
    client.mount('always');
    const first = client.lookup('file0').nodeid;
    const second = client.lookup('file1').nodeid;
    client.setupMapping(first, 0, 0, DAX_RANGE, false);
    client.setupMapping(second, DAX_RANGE, 0, DAX_RANGE, false);
    const range = RANGES_A_FILE + 1;
    const got = Buffer.alloc(MARK_BYTES);
    expect(vm.window.read(markAt(range), got)).to.equal(MARK_BYTES);
    expect(got.equals(mark(range, 1))).to.equal(true);
    expect(vm.window.entries()).to.have.length(1);
  });

  it('takes a SETUPMAPPING over the only range of the same file', () => {
    const { client, vm } = mounted;
    const { nodeid } = client.lookup('file4');
    const moffset = 6 * DAX_RANGE;
    for (const index of [3, 4]) {
      client.setupMapping(nodeid, index * DAX_RANGE, moffset, DAX_RANGE, false);
      const range = 4 * RANGES_A_FILE + index;
      const got = Buffer.alloc(MARK_BYTES);
      expect(vm.window.read(moffset + markAt(range), got)).to.equal(MARK_BYTES);
      expect(got.equals(mark(range, 1)), `range ${index}`).to.equal(true);
    }
  });

  it('answers the upgrade to a writable mapping without touching it', () => {
    const { client, vm } = mounted;
    const { nodeid } = client.lookup('file2');
    client.setupMapping(nodeid, 0, 4 * DAX_RANGE, DAX_RANGE, false);
    const { maps, unmaps } = vm.window.stats;
    client.setupMapping(nodeid, 0, 4 * DAX_RANGE, DAX_RANGE, true);
    expect(vm.window.stats).to.include({ maps, unmaps });
    expect(vm.window.write(4 * DAX_RANGE + 5, pattern(10))).to.equal(10);
  });

  it('evicts all ranges of an inode by one request', () => {
    const { client, dax, vm } = mounted;
    client.unmount();
    dax.forgetAll();
    client.mount('always');
    const { nodeid } = client.lookup('file3');
    for (let i = 0; i < RANGES_A_FILE; i++) dax.map(nodeid, i * DAX_RANGE, false);
    expect(vm.window.entries()).to.have.length(RANGES_A_FILE);
    dax.evict(nodeid);
    expect(vm.window.entries()).to.have.length(0);
  });
});
