import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Mapping, PROT_READ } from '@oriel/sys';
import { tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { INODE, READ, sys } from './support/rig.ts';
import { withProgram } from './support/served-program.ts';

const file = fileURLToPath(new URL('../examples/serve-directory.ts', import.meta.url));

describe('the example, as a program', () => {
  it('shows a file of the directory through the window, and ends when the front-end leaves', async () => {
    using dir = tempDir();
    mkdirSync(join(dir.path, 'share'));
    writeFileSync(join(dir.path, 'share/file'), Buffer.alloc(DAX_RANGE, 'through the window '));
    const program = { file, args: [join(dir.path, 'share')], socketPath: join(dir.path, 'socket') };
    const { exit, text } = await withProgram(program, ({ call, mapped }) => {
      call((r) => r.init(INODE));
      const { nodeid } = call((r) => r.lookup(1, 'file')).readEntry();
      expect(call((r) => r.setupmapping(nodeid, 0, DAX_RANGE, READ, 0)).error).to.equal(0);
      using window = Mapping.shared(sys.mem, mapped().fd, DAX_RANGE, 0, PROT_READ);
      expect(Buffer.from(window.u8.subarray(0, 18)).toString()).to.equal('through the window');
    });
    expect(exit).to.deep.equal([0, null]);
    expect(text).to.match(/^listening.*connected.*started.*stopped.*disconnected/s);
  });
});
