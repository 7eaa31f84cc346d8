import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { ENFILE, EPERM } from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { PassthroughError, PassthroughFilesystem } from '../src/index.ts';
import { checkLeaks } from './support/leaks.ts';
import { TestShare } from './support/share.ts';

describe('without file handles', () => {
  checkLeaks();

  const warnings: string[] = [];
  const none = (): void => {};
  const log = { error: none, warn: (text: string) => warnings.push(text), info: none, debug: none, trace: none };
  beforeEach(() => {
    warnings.length = 0;
  });

  it('each inode costs a descriptor, and the budget ends in ENFILE', () => {
    const sys = mockSys({ file: { openByHandleAt: () => -EPERM } });
    using share = new TestShare({ sys, log, limits: { maxInodeDescriptors: 3 } });
    for (const name of ['a', 'b', 'c', 'd']) {
      writeFileSync(share.at(name), '');
    }

    const results = ['a', 'b', 'c', 'd', 'a'].map((name) => share.lookup(name).result);

    expect(results).to.deep.equal([0, 0, -ENFILE, -ENFILE, 0]);
    expect(warnings).to.have.length(1);
    expect(sys.count('file.openByHandleAt')).to.equal(1);
    expect(share.fs.stats.inodeDescriptors).to.equal(3);
  });

  it('`mandatory` does not start, and says why in one line', () => {
    const sys = mockSys({ file: { openByHandleAt: () => -EPERM } });

    const start = () => new PassthroughFilesystem({ sys, sharedDir: tmpdir(), inodeFileHandles: 'mandatory' });

    expect(start).to.throw(PassthroughError, /^ERR_PASSTHROUGH_HANDLES: .*EPERM.*$/);
  });

  it('`never` asks for none', () => {
    const sys = mockSys();
    using share = new TestShare({ sys, inodeFileHandles: 'never', limits: { maxInodeDescriptors: 2 } });
    writeFileSync(share.at('a'), '');
    writeFileSync(share.at('b'), '');

    expect([share.lookup('a').result, share.lookup('b').result]).to.deep.equal([0, -ENFILE]);
    expect(sys.count('file.nameToHandleAt') + sys.count('file.openByHandleAt')).to.equal(0);
  });
});
