/** Types `docs/embedding.md` as it stands, and mounts what it serves. */
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';
import { EIO, EROFS, Mapping, PROT_READ, PROT_WRITE } from '@oriel/sys';
import { tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { DAX_RANGE } from '../src/index.ts';
import { INODE, READ, sys } from './support/rig.ts';
import { type Served, withProgram } from './support/served-program.ts';

const O_RDWR = 2;
const FUSE_ATTR_DAX = 2;
const GUIDE = readFileSync(new URL('../../../docs/embedding.md', import.meta.url), 'utf8');
const MODULES = fileURLToPath(new URL('../../../node_modules', import.meta.url));

/** A program of the guide: the block behind `into NAME`. */
function programOf(name: string): string {
  return new RegExp(`into \`${name}\`:\n\n\`\`\`ts\n(.*?)^\`\`\`$`, 'ms').exec(GUIDE)![1]!;
}

async function withGuide(name: string, args: (dir: string) => string[], use: (served: Served) => void): Promise<void> {
  using dir = tempDir('embedding-');
  symlinkSync(MODULES, join(dir.path, 'node_modules'));
  writeFileSync(join(dir.path, 'package.json'), '{"type":"module"}');
  const file = join(dir.path, name);
  writeFileSync(file, programOf(name));
  const program = { file, args: args(dir.path), socketPath: join(dir.path, 'socket') };
  const { exit } = await withProgram(program, use);
  expect(exit).to.deep.equal([0, null]);
}

/** One deflated file, `name`, with its central directory. */
function zipOf(name: string, text: string): Buffer {
  const packed = deflateRawSync(text);
  const local = Buffer.alloc(30);
  local.write('PK\x03\x04', 'latin1');
  local.writeUInt16LE(name.length, 26);
  const central = Buffer.alloc(46);
  central.write('PK\x01\x02', 'latin1');
  central.writeUInt16LE(8, 10);
  central.writeUInt32LE(packed.length, 20);
  central.writeUInt32LE(text.length, 24);
  central.writeUInt16LE(name.length, 28);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(30 + name.length + packed.length, 16);
  return Buffer.concat([local, Buffer.from(name), packed, central, Buffer.from(name), end]);
}

describe('docs/embedding.md, typed as it stands', () => {
  for (const name of ['serve-memory.ts', 'serve-zip.ts']) {
    it(`has ${name} of the examples, under 100 lines, and counts them`, () => {
      const example = readFileSync(new URL(`../examples/${name}`, import.meta.url), 'utf8');
      expect(programOf(name)).to.equal(example);
      const lines = example.split('\n').filter((line) => line.trim() !== '').length;
      expect(lines).to.be.below(100);
      expect(GUIDE).to.include(`its server included | ${lines} lines |`);
    });
  }

  it('serves files in memory: written by a request, seen in the window, and the other way round', async () => {
    await withGuide(
      'serve-memory.ts',
      () => [],
      ({ call, mapped }) => {
        call((r) => r.init(INODE));
        const { nodeid, attr } = call((r) => r.lookup(1, 'hello.txt')).readEntry();
        expect(attr.flags & FUSE_ATTR_DAX).to.equal(FUSE_ATTR_DAX);
        const hello = call((r) => r.open(nodeid, O_RDWR)).fh;
        expect(call((r) => r.setupmapping(nodeid, 0, DAX_RANGE, READ, 0)).error).to.equal(0);
        using window = Mapping.shared(sys.mem, mapped().fd, DAX_RANGE, 0, PROT_READ | PROT_WRITE);
        expect(Buffer.from(window.u8.subarray(0, 20)).toString()).to.equal('hello from the host\n');
        expect(call((r) => r.write(nodeid, hello, 0, 5), Buffer.from('HELLO')).count).to.equal(5);
        expect(Buffer.from(window.u8.subarray(0, 10)).toString()).to.equal('HELLO from');
        window.u8[0] = 0x4a;
        expect(Buffer.from(call((r) => r.read(nodeid, hello, 0, 5)).data).toString()).to.equal('JELLO');
        const made = call((r) => r.create(1, 'new', O_RDWR, 0o100644)).readEntry().nodeid;
        expect(call((r) => r.lookup(1, 'new')).readEntry().nodeid).to.equal(made);
      },
    );
  });

  it('serves a zip file: a file of it in the window, and none can be changed', async () => {
    const packed = (dir: string): string[] => {
      const path = join(dir, 'files.zip');
      writeFileSync(path, zipOf('folder/file', 'unpacked '.repeat(1000)));
      return [path];
    };
    await withGuide('serve-zip.ts', packed, ({ call, mapped }) => {
      call((r) => r.init(INODE));
      const folder = call((r) => r.lookup(1, 'folder')).readEntry().nodeid;
      const { nodeid, attr } = call((r) => r.lookup(folder, 'file')).readEntry();
      expect(attr.size).to.equal(9000);
      expect(call((r) => r.setupmapping(nodeid, 0, DAX_RANGE, READ, 0)).error).to.equal(0);
      using window = Mapping.shared(sys.mem, mapped().fd, DAX_RANGE, 0, PROT_READ);
      expect(Buffer.from(window.u8.subarray(8991, 9001)).toString('latin1')).to.equal('unpacked \0');
      expect(call((r) => r.open(nodeid, O_RDWR)).error).to.equal(EROFS);
      expect(call((r) => r.unlink(folder, 'file')).error).to.equal(EROFS);
    });
  });

  it('answers EIO for a file that cannot be unpacked', async () => {
    const broken = (dir: string): string[] => {
      const zip = zipOf('file', 'text');
      zip[zip.indexOf('file') + 4] = 0xff;
      writeFileSync(join(dir, 'files.zip'), zip);
      return [join(dir, 'files.zip')];
    };
    await withGuide('serve-zip.ts', broken, ({ call }) => {
      call((r) => r.init(INODE));
      const { nodeid } = call((r) => r.lookup(1, 'file')).readEntry();
      const { fh } = call((r) => r.open(nodeid, 0));
      expect(call((r) => r.read(nodeid, fh, 0, 4)).error).to.equal(EIO);
    });
  });
});
