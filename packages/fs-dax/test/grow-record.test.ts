import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fd, type Logger, O_RDWR, openSys } from '@oriel/sys';
import { leakCheck, mockSys, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { FileFacts } from '../src/dax/file-facts.ts';
import { type GrownFile, GrowRecord } from '../src/dax/grow-record.ts';
import { holdsData } from '../src/dax/grown-part.ts';
import { repairGrown } from '../src/dax/repair.ts';

const sys = openSys();
const lines: string[] = [];
const note = (message: string): void => {
  lines.push(message);
};
const log: Logger = { error: note, warn: note, info: note, debug: note, trace: note };

/** Facts of a file as a record holds them. */
function grown(path: string, relative: string, trueSize: number, grownSize: number): GrownFile {
  using facts = new FileFacts(sys);
  const fd = sys.file.openat(-100, Buffer.from(`${path}\0`), 0, 0);
  facts.size(fd);
  sys.fd.close(fd);
  return { identity: facts.identity, trueSize, grownSize, path: relative };
}

describe('GrowRecord', () => {
  it('gives what a killed process left to the next one, once', () => {
    using _leaks = leakCheck();
    using dir = tempDir();
    const share = join(dir.path, 'share');
    mkdirSync(join(share, 'sub'), { recursive: true });
    writeFileSync(join(share, 'sub/file'), Buffer.alloc(5000, 'x'));
    const first = GrowRecord.open(sys, dir.path, 'key', () => true);
    expect(first.begin(grown(join(share, 'sub/file'), 'sub/file', 5000, 2 << 20))).to.equal(0);
    truncateSync(join(share, 'sub/file'), 2 << 20);
    first[Symbol.dispose](); // as the kernel does for a killed process: the lock goes, the record stays

    const seen: GrownFile[] = [];
    const repair = (file: GrownFile): boolean => {
      seen.push(file);
      return repairGrown(sys, share, file, log);
    };
    GrowRecord.open(sys, dir.path, 'key', repair)[Symbol.dispose]();
    expect(seen.map(({ trueSize, grownSize, path }) => [trueSize, grownSize, path])).to.deep.equal([
      [5000, 2 << 20, 'sub/file'],
    ]);
    expect(statSync(join(share, 'sub/file')).size).to.equal(5000);
    GrowRecord.open(sys, dir.path, 'key', repair)[Symbol.dispose]();
    expect(seen.length).to.equal(1);
  });

  it('leaves a file alone that has another size or is another file, and says what it cannot find', () => {
    using dir = tempDir();
    const share = dir.path;
    writeFileSync(join(share, 'file'), Buffer.alloc(100));
    const record = grown(join(share, 'file'), 'file', 50, 4096);
    expect(repairGrown(sys, share, record, log), 'not grown yet').to.equal(true);
    expect(statSync(join(share, 'file')).size).to.equal(100);
    renameSync(join(share, 'file'), join(share, 'moved'));
    expect(repairGrown(sys, share, record, log), 'not there').to.equal(false);
    writeFileSync(join(share, 'file'), Buffer.alloc(4096));
    expect(repairGrown(sys, share, record, log), 'another file').to.equal(false);
    expect(statSync(join(share, 'file')).size).to.equal(4096);
    expect(lines.filter((line) => line.includes('may still be longer')).length).to.equal(2);
  });

  it('never leaves the share', () => {
    using dir = tempDir();
    mkdirSync(join(dir.path, 'share'));
    writeFileSync(join(dir.path, 'outside'), Buffer.alloc(4096));
    const record = grown(join(dir.path, 'outside'), '../outside', 1, 4096);
    expect(repairGrown(sys, join(dir.path, 'share'), record, log)).to.equal(false);
    expect(statSync(join(dir.path, 'outside')).size).to.equal(4096);
  });

  it('leaves no file behind when nothing is grown', () => {
    using dir = tempDir();
    const record = GrowRecord.open(sys, dir.path, 'key', () => true);
    writeFileSync(join(dir.path, 'file'), 'x');
    record.begin(grown(join(dir.path, 'file'), 'file', 1, 4096));
    record.clear();
    expect(readdirSync(dir.path)).to.have.length(2);
    record[Symbol.dispose]();
    expect(readdirSync(dir.path)).to.deep.equal(['file']);
  });

  it('finds a record behind the place of one that was taken away', () => {
    using dir = tempDir();
    const first = GrowRecord.open(sys, dir.path, 'key', () => true);
    const second = GrowRecord.open(sys, dir.path, 'key', () => true);
    const third = GrowRecord.open(sys, dir.path, 'key', () => true);
    writeFileSync(join(dir.path, 'file'), 'x');
    third.begin(grown(join(dir.path, 'file'), 'file', 1, 4096));
    for (const record of [first, second, third]) record[Symbol.dispose]();
    let asked = 0;
    GrowRecord.open(sys, dir.path, 'key', () => ++asked > 0)[Symbol.dispose]();
    expect(asked).to.equal(1);
  });

  it('has one record for each process, and ignores a damaged one', () => {
    using dir = tempDir();
    const one = GrowRecord.open(sys, dir.path, 'key', () => true);
    const two = GrowRecord.open(sys, dir.path, 'key', () => true);
    expect(two.path).to.not.equal(one.path);
    expect(readdirSync(dir.path).length).to.equal(2);
    one[Symbol.dispose]();
    writeFileSync(one.path, Buffer.alloc(4096, 'z'));
    let asked = 0;
    GrowRecord.open(sys, dir.path, 'key', () => ++asked > 0)[Symbol.dispose]();
    expect(asked).to.equal(0);
    two[Symbol.dispose]();
  });

  it('keeps a record that could not be repaired, and uses another', () => {
    using dir = tempDir();
    const first = GrowRecord.open(sys, dir.path, 'key', () => true);
    writeFileSync(join(dir.path, 'file'), 'x');
    first.begin(grown(join(dir.path, 'file'), 'gone', 1, 4096));
    first[Symbol.dispose]();
    const second = GrowRecord.open(sys, dir.path, 'key', () => false);
    expect(second.path).to.not.equal(first.path);
    second[Symbol.dispose]();
    let asked = 0;
    GrowRecord.open(sys, dir.path, 'key', () => ++asked > 0)[Symbol.dispose]();
    expect(asked).to.equal(1);
  });

  it('does not mend a file that had no name, nor keep its record', () => {
    using dir = tempDir();
    writeFileSync(join(dir.path, 'file'), Buffer.alloc(4096));
    expect(repairGrown(sys, dir.path, grown(join(dir.path, 'file'), '', 1, 4096), log)).to.equal(true);
    expect(statSync(join(dir.path, 'file')).size).to.equal(4096);
  });

  it('does not follow symbolic links, nor wait at a pipe', () => {
    using dir = tempDir();
    mkdirSync(join(dir.path, 'share'));
    writeFileSync(join(dir.path, 'outside'), Buffer.alloc(4096));
    symlinkSync('../outside', join(dir.path, 'share/link'));
    symlinkSync('.', join(dir.path, 'share/here'));
    const record = grown(join(dir.path, 'outside'), 'link', 1, 4096);
    for (const path of ['link', 'here/link']) {
      expect(repairGrown(sys, join(dir.path, 'share'), { ...record, path }, log)).to.equal(false);
    }
    execFileSync('mkfifo', [join(dir.path, 'share/pipe')]);
    expect(repairGrown(sys, join(dir.path, 'share'), { ...record, path: 'pipe' }, log)).to.equal(false);
    expect(statSync(join(dir.path, 'outside')).size).to.equal(4096);
  });

  it('keeps what cannot be looked at or mended now', () => {
    using dir = tempDir();
    writeFileSync(join(dir.path, 'file'), Buffer.alloc(4096));
    const record = grown(join(dir.path, 'file'), 'file', 1, 4096);
    expect(repairGrown(sys, join(dir.path, 'none'), record, log)).to.equal(false);
    const mock = mockSys();
    mock.failNext('file.ftruncate', 5);
    expect(repairGrown(mock, dir.path, record, log)).to.equal(false);
    expect(repairGrown(mock, dir.path, record, log)).to.equal(true);
    expect(statSync(join(dir.path, 'file')).size).to.equal(1);
  });

  it('reads on where a file system calls a hole data, and keeps what it cannot read', () => {
    using dir = tempDir();
    const path = join(dir.path, 'file');
    writeFileSync(path, Buffer.alloc(300_000));
    using file = new Fd(sys.fd, sys.file.openat(-100, Buffer.from(`${path}\0`), O_RDWR, 0));
    expect(holdsData(sys, file.fd, 0, 300_000)).to.equal(false);
    expect(holdsData(sys, file.fd, 200_000, 400_000)).to.equal(false);
    const mock = mockSys();
    mock.failNext('fd.pread', 5);
    expect(holdsData(mock, file.fd, 0, 300_000)).to.equal(true);
    sys.fd.pwrite(file.fd, Buffer.from('x'), 1, 299_999);
    expect([holdsData(sys, file.fd, 0, 300_000), holdsData(sys, file.fd, 0, 299_999)]).to.deep.equal([true, false]);
  });

  it('says at the start that it cannot be written, locked or opened, and leaves nothing open', () => {
    using dir = tempDir();
    const mock = mockSys();
    using _leaks = leakCheck();
    const code = (): string => {
      try {
        GrowRecord.open(mock, dir.path, 'key', () => true)[Symbol.dispose]();
      } catch (error) {
        return (error as { code: string }).code;
      }
      return 'none';
    };
    for (const [call, errno] of [
      ['fd.pwrite', 28],
      ['file.flock', 5],
      ['file.openat', 13],
      ['mem.mmap', 12],
    ] as const) {
      mock.failNext(call, errno);
      expect(code(), call).to.equal(call === 'mem.mmap' ? 'ENOMEM' : 'ERR_FSDAX_RECORD');
    }
    mock.failNext('file.openat', 13, 1, 1);
    expect(code(), 'the second one').to.equal('ERR_FSDAX_RECORD');
    expect(code()).to.equal('none');
    symlinkSync('/etc/passwd', join(dir.path, 'grow-other-0.record'));
    expect(() => GrowRecord.open(sys, dir.path, 'other', () => true)).to.throw('ERR_FSDAX_RECORD');
  });

  it('gives up when every record is taken or cannot be mended', () => {
    using dir = tempDir();
    using _leaks = leakCheck();
    const many = Array.from({ length: 64 }, () => GrowRecord.open(sys, dir.path, 'key', () => true));
    expect(() => GrowRecord.open(sys, dir.path, 'key', () => true)).to.throw('no free crash record');
    for (const one of many) one[Symbol.dispose]();
  });

  it('refuses a path that does not fit', () => {
    using dir = tempDir();
    writeFileSync(join(dir.path, 'file'), '');
    using record = GrowRecord.open(sys, dir.path, 'key', () => true);
    const long = grown(join(dir.path, 'file'), 'p'.repeat(4045), 0, 4096);
    expect(record.begin(long)).to.equal(-36);
    expect(record.begin({ ...long, path: 'p'.repeat(4044) })).to.equal(0);
  });
});
