/** A server that is killed at any step of a request, and another one that goes on from its journal. */
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import { EBADF, O_APPEND, O_EXCL, O_RDWR, O_TRUNC, openSys, S_IFIFO, XATTR_CREATE } from '@oriel/sys';
import { expect } from 'chai';
import { FS_IOC_SETFLAGS } from '../src/file-attributes.ts';
import { checkLeaks } from './support/leaks.ts';
import { Survivor } from './support/survivor.ts';

const ROOT = 1;
const TEXT = Buffer.from('twelve bytes');

/** What the guest knows when the request under test comes. */
interface Known {
  readonly dir: number;
  readonly file: number;
  readonly fh: number;
  readonly dirFh: number;
}

interface Case {
  readonly name: string;
  /** Encodes the request; the data of a WRITE. */
  readonly ask: (survivor: Survivor, known: Known) => Uint8Array | undefined;
  /** Whether the reply counts a lookup, opens a file, or both. */
  readonly counts?: boolean;
  readonly opens?: 'file' | 'directory';
}

const CASES: readonly Case[] = [
  { name: 'LOOKUP', counts: true, ask: ({ request }) => void request.lookup(ROOT, 'other') },
  { name: 'LOOKUP of a known inode', counts: true, ask: ({ request }) => void request.lookup(ROOT, 'file') },
  { name: 'LOOKUP of nothing', ask: ({ request }) => void request.lookup(ROOT, 'nothing') },
  { name: 'MKDIR', counts: true, ask: ({ request }, { dir }) => void request.mkdir(dir, 'new', 0o750) },
  { name: 'MKDIR of a name that is taken', ask: ({ request }) => void request.mkdir(ROOT, 'dir', 0o750) },
  { name: 'MKNOD', counts: true, ask: ({ request }, { dir }) => void request.mknod(dir, 'new', S_IFIFO | 0o600) },
  { name: 'SYMLINK', counts: true, ask: ({ request }) => void request.symlink(ROOT, 'new', 'target') },
  { name: 'LINK', counts: true, ask: ({ request }, { dir, file }) => void request.link(file, dir, 'new') },
  { name: 'UNLINK', ask: ({ request }) => void request.unlink(ROOT, 'other') },
  { name: 'UNLINK of an open file', ask: ({ request }) => void request.unlink(ROOT, 'file') },
  { name: 'UNLINK of nothing', ask: ({ request }) => void request.unlink(ROOT, 'nothing') },
  { name: 'RMDIR', ask: ({ request }) => void request.rmdir(ROOT, 'empty') },
  { name: 'RMDIR of a full directory', ask: ({ request }) => void request.rmdir(ROOT, 'full') },
  { name: 'RENAME', ask: ({ request }, { dir }) => void request.rename(ROOT, 'file', dir, 'new') },
  { name: 'RENAME over a file', ask: ({ request }) => void request.rename(ROOT, 'other', ROOT, 'file') },
  { name: 'RENAME of nothing', ask: ({ request }) => void request.rename(ROOT, 'nothing', ROOT, 'file') },
  { name: 'RENAME2 that exchanges', ask: ({ request }) => void request.rename2(ROOT, 'file', ROOT, 'dir', 2) },
  { name: 'RENAME2 that must not replace', ask: ({ request }) => void request.rename2(ROOT, 'file', ROOT, 'new', 1) },
  { name: 'RENAME of one link over another', ask: ({ request }) => void request.rename(ROOT, 'twin1', ROOT, 'twin2') },
  {
    name: 'RENAME2 of one link that must not replace another',
    ask: ({ request }) => void request.rename2(ROOT, 'twin1', ROOT, 'twin2', 1),
  },
  { name: 'RENAME2 that exchanges links', ask: ({ request }) => void request.rename2(ROOT, 'twin1', ROOT, 'twin2', 2) },
  { name: 'RENAME onto itself', ask: ({ request }) => void request.rename(ROOT, 'file', ROOT, 'file') },
  {
    name: 'CREATE',
    counts: true,
    opens: 'file',
    ask: ({ request }, { dir }) => void request.create(dir, 'new', O_RDWR | O_EXCL, 0o640),
  },
  {
    name: 'CREATE of a file that is there',
    counts: true,
    opens: 'file',
    ask: ({ request }) => void request.create(ROOT, 'other', O_RDWR | O_TRUNC, 0o640),
  },
  {
    name: 'CREATE of a name that is taken',
    ask: ({ request }) => void request.create(ROOT, 'other', O_RDWR | O_EXCL, 0o640),
  },
  {
    name: 'TMPFILE',
    counts: true,
    opens: 'file',
    ask: ({ request }, { dir }) => void request.tmpfile(dir, O_RDWR, 0o600),
  },
  { name: 'OPEN', opens: 'file', ask: ({ request }, { file }) => void request.open(file, O_RDWR) },
  { name: 'OPENDIR', opens: 'directory', ask: ({ request }, { dir }) => void request.opendir(dir) },
  { name: 'RELEASE', ask: ({ request }, { file, fh }) => void request.release(file, fh) },
  { name: 'RELEASEDIR', ask: ({ request }, { dir, dirFh }) => void request.releasedir(dir, dirFh) },
  {
    name: 'WRITE',
    ask: ({ request }, { file, fh }) => {
      request.write(file, fh, 3, TEXT.length);
      return TEXT;
    },
  },
  {
    name: 'WRITE to the end',
    ask: ({ request }, { file, fh }) => {
      request.write(file, fh, 0, TEXT.length, O_RDWR | O_APPEND);
      return TEXT;
    },
  },
  { name: 'SETATTR', ask: ({ request }, { file }) => void request.setattr(file, { size: 5, mode: 0o600 }) },
  {
    name: 'SETXATTR that creates',
    ask: ({ request }, { file }) => void request.setxattr(file, 'user.new', TEXT, XATTR_CREATE),
  },
  {
    name: 'SETXATTR of one that is there',
    ask: ({ request }, { file }) => void request.setxattr(file, 'user.old', TEXT, XATTR_CREATE),
  },
  {
    name: 'MKDIR with a label',
    counts: true,
    ask: ({ request }, { dir }) => void labelled(request).mkdir(dir, 'new', 0o750),
  },
  {
    name: 'CREATE with a label',
    counts: true,
    opens: 'file',
    ask: ({ request }, { dir }) => void labelled(request).create(dir, 'new', O_RDWR | O_EXCL, 0o640),
  },
  { name: 'STATX', ask: ({ request }, { file, fh }) => void request.statx(file, fh) },
  {
    name: 'IOCTL that sets attributes',
    ask: ({ request }, { file, fh }) => void request.ioctl(file, fh, FS_IOC_SETFLAGS, NODUMP, 0),
  },
  { name: 'IOCTL of no meaning', ask: ({ request }, { file, fh }) => void request.ioctl(file, fh, 0x5401, NODUMP, 0) },
  { name: 'REMOVEXATTR', ask: ({ request }, { file }) => void request.removexattr(file, 'user.old') },
  { name: 'REMOVEXATTR of none', ask: ({ request }, { file }) => void request.removexattr(file, 'user.new') },
];

/** With extents, as ext4 has it: FS_NODUMP_FL and FS_EXTENT_FL. */
const NODUMP = Uint8Array.of(0x40, 0, 8, 0);

/** The request that comes next has a label. */
function labelled(request: RequestEncoder): RequestEncoder {
  request.security = { name: 'user.label', value: TEXT };
  return request;
}

/** A tree with a bit of everything. */
function plant(dir: string): void {
  mkdirSync(join(dir, 'dir'));
  mkdirSync(join(dir, 'empty'));
  mkdirSync(join(dir, 'full'));
  writeFileSync(join(dir, 'full', 'inside'), 'inside');
  writeFileSync(join(dir, 'file'), 'some text in it');
  writeFileSync(join(dir, 'other'), 'another text');
  symlinkSync('file', join(dir, 'link'));
  writeFileSync(join(dir, 'twin1'), 'twins');
  linkSync(join(dir, 'twin1'), join(dir, 'twin2'));
}

/** Names, kinds, links, sizes and contents, without times and inode numbers. */
function picture(dir: string): string {
  const list = execFileSync('find', ['.', '-printf', '%P %y %m %n %l\\n'], { cwd: dir, encoding: 'utf8' });
  const flags = execFileSync('lsattr', ['-R', '.'], { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    .split('\n')
    .sort()
    .join('\n');
  const labels = list
    .split('\n')
    .map((line) => join(dir, line.split(' ')[0]!))
    .filter(
      (path) =>
        openSys().file.getxattr(Buffer.from(`${path}\0`), Buffer.from('user.label\0'), Buffer.alloc(99), 99) > 0,
    );
  const sums = execFileSync('sh', ['-c', 'find . -type f -exec sha256sum {} + | sort'], { cwd: dir, encoding: 'utf8' });
  const own = labels.map((path) => path.slice(dir.length)).sort();
  return [list.split('\n').sort().join('\n'), flags, own.join('\n'), sums].join('\n');
}

describe('a share whose server is killed', () => {
  let base: string;
  checkLeaks();
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'oriel-survival-'));
  });
  afterEach(() => rmSync(base, { recursive: true, force: true }));

  const begin = (name: string): { dir: string; survivor: Survivor; known: Known } => {
    const dir = join(base, name);
    mkdirSync(dir);
    plant(dir);
    const survivor = new Survivor(dir);
    const { request } = survivor;
    const file = survivor.call(request.lookup(ROOT, 'file')).readEntry().nodeid;
    const fh = survivor.call(request.open(file, O_RDWR)).fh;
    const parent = survivor.call(request.lookup(ROOT, 'dir')).readEntry().nodeid;
    const dirFh = survivor.call(request.opendir(parent)).fh;
    survivor.call(request.setxattr(file, 'user.old', TEXT));
    return { dir, survivor, known: { dir: parent, file, fh, dirFh } };
  };

  /** Gives back all that the guest holds, and looks whether the server holds anything more. */
  const expectNothingHeld = (survivor: Survivor, known: Known, one: Case, reply: ReplyDecoder): void => {
    const { request } = survivor;
    const { error } = reply;
    const nodeid = one.counts && error === 0 ? reply.readEntry().nodeid : 0;
    if (one.opens && error === 0) {
      const { fh } = reply;
      const of = nodeid === 0 ? (one.opens === 'file' ? known.file : known.dir) : nodeid;
      const closing = one.opens === 'file' ? request.release(of, fh) : request.releasedir(of, fh);
      expect(survivor.call(closing).error, 'closing what was opened').to.equal(0);
    }
    if (nodeid !== 0) survivor.call(request.forget(nodeid, 1));
    if (one.name !== 'RELEASE') expect(survivor.call(request.release(known.file, known.fh)).error).to.equal(0);
    if (one.name !== 'RELEASEDIR') expect(survivor.call(request.releasedir(known.dir, known.dirFh)).error).to.equal(0);
    survivor.call(request.forget(known.file, 1));
    survivor.call(request.forget(known.dir, 1));
    expect(survivor.stats).to.deep.include({ inodes: 1, handles: 0 });
    expect([...survivor.store.held.keys()].filter((name) => name.startsWith('inode'))).to.deep.equal([]);
  };

  for (const one of CASES) {
    it(`does a ${one.name} once, wherever it ended`, () => {
      const whole = begin('whole');
      const data = one.ask(whole.survivor, whole.known);
      const { steps, error: wanted } = whole.survivor.stepsOf(whole.survivor.request, data);
      const expected = picture(whole.dir);
      whole.survivor[Symbol.dispose]();
      expect(steps).to.be.above(1);

      for (let step = 1; step <= steps + 1; step++) {
        const { dir, survivor, known } = begin(`step${step}`);
        try {
          const again = one.ask(survivor, known);
          const reply = survivor.killedAt(step, survivor.request, again);
          expect(reply.error, 'the answer').to.equal(wanted);
          expect(picture(dir), `killed at step ${step}`).to.equal(expected);
          expectNothingHeld(survivor, known, one, reply);
        } catch (cause) {
          throw new Error(`killed at step ${step} of ${steps}`, { cause });
        } finally {
          survivor[Symbol.dispose]();
        }
      }
    }).timeout(60_000);
  }

  for (const batch of [false, true]) {
    it(`takes ${batch ? 'BATCH_FORGET' : 'FORGET'} back once, wherever it ended`, () => {
      const ask = ({ request }: Survivor, { file, dir }: Known): RequestEncoder =>
        batch ? request.batchForget([file, 2, dir, 1]) : request.forget(file, 2);
      let steps = 1;
      for (let step = 0; step <= steps; step++) {
        const { survivor, known } = begin(`step${step}`);
        const { request } = survivor;
        try {
          for (const name of ['file', 'file', 'dir']) survivor.call(request.lookup(ROOT, name));
          const asked = ask(survivor, known);
          if (step === 0) steps = survivor.stepsOf(asked).steps;
          else survivor.killedAt(step, asked);
          expect(survivor.call(request.getattr(known.file)).error, `step ${step}`).to.equal(0);
          survivor.call(request.forget(known.file, 1));
          expect(survivor.call(request.getattr(known.file)).error, `step ${step}`).to.equal(EBADF);
          survivor.call(request.forget(known.dir, batch ? 1 : 2));
          expect(survivor.stats.inodes, `step ${step}`).to.equal(1);
        } finally {
          survivor[Symbol.dispose]();
        }
      }
      expect(steps).to.be.above(3);
    });
  }
});
