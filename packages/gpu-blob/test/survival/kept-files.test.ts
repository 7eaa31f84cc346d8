import { Fd } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { bytesOfBlocks } from '../../src/survival/blocks.ts';
import { KeptFiles } from '../../src/survival/kept-files.ts';
import { MEMORY, Records } from '../../src/survival/records.ts';
import { sys } from '../device/rig.ts';

describe('KeptFiles', () => {
  let leaks = leakCheck();
  let bytes: Uint8Array;
  /** Names that somebody holds a file under. */
  let held: Set<string>;

  beforeEach(() => {
    leaks = leakCheck();
    bytes = new Uint8Array(bytesOfBlocks(4));
    held = new Set();
  });
  afterEach(() => leaks.check());

  function open(): { records: Records; files: KeptFiles } {
    const records = new Records(bytes);
    const store = {
      keep: (name: string) => held.add(name).has(name),
      forget: (name: string) => void held.delete(name),
      take: () => null,
    };
    return { records, files: new KeptFiles(store, records, sys.fd) };
  }

  /** A record of a file that is kept. */
  function keep({ records, files }: ReturnType<typeof open>): number {
    using fd = new Fd(sys.fd, sys.mem.memfdCreate('kept', 1));
    const record = records.add({ kind: MEMORY, key: 0 });
    files.keep(record, fd.fd);
    records.commit();
    return record;
  }

  it('forgets a file whose end was noted when the journal failed', () => {
    const session = open();
    session.records.begin();
    const [first] = [keep(session), keep(session)];
    expect(held.size).to.equal(2);
    session.files.stageDrop(first!);
    session.records.fail('its state memory is full');
    session.records.commit();
    session.files.dropped();
    session.files.forgetAll();
    expect([...held]).to.deep.equal([]);
  });

  it('forgets, in the next process, a file whose end counted when a kill came', () => {
    const before = open();
    before.records.begin();
    const [first, second] = [keep(before), keep(before)];
    before.files.stageDrop(first);
    before.records.commit();
    expect(held.size, 'still there').to.equal(2);

    const after = open();
    const found = after.records.recover()!;
    after.files.recover(found.map(({ record }) => record));
    expect([...held]).to.deep.equal([`memory${second}`]);
    expect(after.records.spare).to.equal(0);
    // Somebody else's by now.
    held.add(`memory${first}`);
    after.files.forgetAll();
    expect([...held]).to.deep.equal([`memory${first}`]);
  });

  it('forgets, in the next process, a file that no record tells of yet', () => {
    const before = open();
    before.records.begin();
    using fd = new Fd(sys.fd, sys.mem.memfdCreate('kept', 1));
    before.files.keep(before.records.add({ kind: MEMORY, key: 0 }), fd.fd);
    expect(held.size).to.equal(1);

    const after = open();
    expect(after.records.recover()).to.deep.equal([]);
    after.files.recover([]);
    expect([...held]).to.deep.equal([]);
  });
});
