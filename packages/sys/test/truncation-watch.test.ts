import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { intentOfAccess, intentOfOpen } from '../src/fanotify/intent.ts';
import {
  BlockingLoop,
  ETXTBSY,
  errnoName,
  type FileGuard,
  type FileTruncation,
  Mapping,
  openOffload,
  openSys,
  openTruncationWatch,
  PROT_READ,
  SYS,
} from '../src/index.ts';
import { guardErrno, type LeakCheck, leakCheck, type TempDir, tempDir } from '../src/testing/index.ts';

const sys = openSys();
/** Longer than anything here takes. */
const LONG_MS = 30_000;

/** What a process that runs beside the loop came to. */
async function beside(loop: BlockingLoop, command: string, ...args: string[]): Promise<{ code: number; said: string }> {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (data) => {
    said += data;
  });
  let code: number | null = null;
  child.on('close', (status) => {
    code = status ?? -1;
  });
  while (code === null) {
    loop.runOnce(5);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { code, said };
}

/** Runs the loop until it is so. */
function until(loop: BlockingLoop, met: () => boolean): void {
  const deadline = performance.now() + LONG_MS;
  while (!met()) {
    if (performance.now() > deadline) throw new Error(`not within ${LONG_MS} ms: ${met}`);
    loop.runOnce(100);
  }
}

class Asked implements FileGuard {
  readonly sizes: number[] = [];
  readonly sure: boolean[] = [];
  readonly sizesAtChanges: number[] = [];
  over = 0;
  changes = 0;
  size = (): number => 0;
  answer = (truncation: FileTruncation): void => truncation.allow();

  truncating(truncation: FileTruncation): void {
    this.sizes.push(truncation.size);
    this.sure.push(truncation.sure);
    this.answer(truncation);
  }

  truncated(): void {
    this.over++;
  }

  changed(): void {
    this.changes++;
    this.sizesAtChanges.push(this.size());
  }
}

describe('TruncationWatch', function () {
  this.timeout(2 * LONG_MS);
  let dir: TempDir;
  let loop: BlockingLoop;
  let leaks: LeakCheck;
  let file: string;
  let fd: number;

  before(function () {
    dir = tempDir('oriel-watch-');
    const errno = guardErrno(sys, dir.path);
    if (errno < 0) {
      console.warn(`      NOT TESTED HERE: pre-content events (${errnoName(-errno)})`);
      this.skip();
    }
    // Node and koffi open things at first use.
    new BlockingLoop(sys)[Symbol.dispose]();
  });

  after(() => dir[Symbol.dispose]());

  beforeEach(() => {
    file = join(dir.path, 'file');
    writeFileSync(file, Buffer.alloc(100_000, 7));
    leaks = leakCheck();
    loop = new BlockingLoop(sys);
    fd = openSync(file, 'r+');
  });

  afterEach(async () => {
    closeSync(fd);
    loop[Symbol.dispose]();
    await leaks.settled();
  });

  it('asks before another process truncates, and tells when it is done', async () => {
    using watch = openTruncationWatch(sys, loop);
    const asked = new Asked();
    asked.answer = (truncation) => {
      expect(statSync(file).size).to.equal(100_000);
      truncation.allow();
    };
    using _watched = watch.watch(fd, asked) as Disposable;

    const { code } = await beside(loop, 'truncate', '-s', '5000', file);

    expect(code).to.equal(0);
    expect(asked.sizes).to.deep.equal([5000]);
    until(loop, () => asked.over > 0);
    expect(statSync(file).size).to.equal(5000);
  });

  it('refuses with the errno given, and the file stays as it is', async () => {
    using watch = openTruncationWatch(sys, loop);
    const asked = new Asked();
    asked.answer = (truncation) => truncation.refuse(ETXTBSY);
    using _watched = watch.watch(fd, asked) as Disposable;

    const { code, said } = await beside(loop, 'sh', '-c', `: > ${file}`);

    expect(code).not.to.equal(0);
    expect(said).to.match(/Text file busy/i);
    expect(asked.sizes).to.deep.equal([0]);
    expect(asked.over).to.equal(1);
    expect(statSync(file).size).to.equal(100_000);
  });

  it('tells of every file that grew, also of more than there is room for at a time', () => {
    using watch = openTruncationWatch(sys, loop);
    const files = Array.from({ length: 100 }, (_, i) => {
      const path = join(dir.path, `many-${i}`);
      writeFileSync(path, 'x');
      return { path, fd: openSync(path, 'r'), asked: new Asked() };
    });
    const watched = files.map((one) => watch.watch(one.fd, one.asked) as Disposable);
    // The loop does not turn meanwhile.
    const { status } = spawnSync('sh', [
      '-c',
      'for f do echo more >>"$f"; done',
      'sh',
      ...files.map(({ path }) => path),
    ]);
    expect(status).to.equal(0);
    until(loop, () => files.every(({ asked }) => asked.changes > 0));
    for (const one of watched) one[Symbol.dispose]();
    for (const one of files) closeSync(one.fd);
  });

  it('tells nothing of what helper threads of this process write', async () => {
    using watch = openTruncationWatch(sys, loop);
    using offload = openOffload(sys, loop);
    using bytes = Mapping.shared(sys.mem, fd, 4096, 0, PROT_READ);
    const asked = new Asked();
    asked.size = () => statSync(file).size;
    using _watched = watch.watch(fd, asked) as Disposable;
    let written = 0;
    const submitted = offload.submit(SYS.pwrite64, [fd, bytes.addr, 4096, 100_000], (result) => {
      written = result;
    });
    expect(submitted).to.equal(true);
    until(loop, () => written !== 0);
    expect(written).to.equal(4096);
    // What another process does comes behind it.
    await beside(loop, 'sh', '-c', `echo more >> ${file}`);
    until(loop, () => asked.changes > 0);
    expect(
      asked.sizesAtChanges.every((size) => size === 100_000 + 4096 + 5),
      String(asked.sizesAtChanges),
    ).to.equal(true);
  });

  it('does not ask about what cuts nothing, and tells of a writer that closes', async () => {
    using watch = openTruncationWatch(sys, loop);
    const asked = new Asked();
    using _watched = watch.watch(fd, asked) as Disposable;

    // Many: a thread that has only just asked has no system call to show yet.
    const reads = `i=0; while [ $i -lt 200 ]; do : < ${file}; i=$((i+1)); done; true`;
    expect((await beside(loop, 'sh', '-c', reads)).code).to.equal(0);
    expect((await beside(loop, 'sh', '-c', `echo more >> ${file}`)).code).to.equal(0);

    expect(asked.sizes).to.deep.equal([]);
    until(loop, () => asked.changes > 0);
  });

  it('never asks about what its own thread does', () => {
    using watch = openTruncationWatch(sys, loop);
    const asked = new Asked();
    using _watched = watch.watch(fd, asked) as Disposable;

    sys.file.ftruncate(fd, 4000);
    writeFileSync(file, 'anew');
    expect(readFileSync(file, 'utf8')).to.equal('anew');
    loop.runOnce(20);

    expect(asked.sizes).to.deep.equal([]);
  });

  it('refuses by itself what nobody answers in time', async () => {
    using watch = openTruncationWatch(sys, loop, { deadlineMs: 50 });
    const asked = new Asked();
    let late: FileTruncation | null = null;
    asked.answer = (truncation) => {
      late = truncation;
    };
    using _watched = watch.watch(fd, asked) as Disposable;

    // A question that this thread is late for is over before it is heard.
    while (late === null) {
      const { code, said } = await beside(loop, 'truncate', '-s', '0', file);
      expect(code).not.to.equal(0);
      expect(said).to.match(/Text file busy/i);
    }
    until(loop, () => asked.over > 0);
    (late as FileTruncation).allow();

    expect(statSync(file).size).to.equal(100_000);
  });

  it('bears that a question is over before this thread hears of it', () => {
    using watch = openTruncationWatch(sys, loop, { deadlineMs: 50 });
    const asked = new Asked();
    using _watched = watch.watch(fd, asked) as Disposable;

    // The loop does not run meanwhile.
    expect(spawnSync('truncate', ['-s', '0', file]).status).to.not.equal(0);
    loop.runOnce(100);

    expect(asked.sizes).to.deep.equal([]);
    expect(statSync(file).size).to.equal(100_000);
  });

  it('lets go of what waits when it is closed', async () => {
    const watch = openTruncationWatch(sys, loop);
    const asked = new Asked();
    asked.answer = () => watch[Symbol.dispose]();
    watch.watch(fd, asked);

    expect((await beside(loop, 'truncate', '-s', '10', file)).code).to.equal(0);
    expect(statSync(file).size).to.equal(10);
  });
});

describe('intent of a system call', () => {
  const asked = { offset: 4096, count: 4096, fileSize: 100_000 };
  const cut = (size: number, sure = true) => ({ kind: 'cut', size, sure });
  const harmless = { kind: 'harmless' };

  it('reads lengths and flags from the arguments', () => {
    expect(intentOfAccess('77 0x4 0xdbba0 0x1 0x0 0x0 0x0 0x7f 0x7f', asked, 'x64')).to.deep.equal(cut(900_000));
    expect(intentOfAccess('76 0x4 0xffffffffffffffff 0 0 0 0 0 0', asked, 'x64')).to.deep.equal(
      cut(Number.MAX_SAFE_INTEGER),
    );
    expect(intentOfAccess('46 0x4 0x10 0x1 0x0 0x0 0x0 0x7f 0x7f', asked, 'arm64')).to.deep.equal(cut(16));
    expect(intentOfAccess('285 0x7 0x8 0x0 0x1000 0x0 0x0 0x7f 0x7f', asked, 'x64')).to.deep.equal(cut(95_904));
    expect(intentOfAccess('285 0x7 0x3 0x0 0x1000 0x0 0x0 0x7f 0x7f', asked, 'x64')).to.deep.equal(harmless);
    expect(intentOfAccess('17 0x6 0x7f 0x1000 0x0 0x0 0x0 0x7f 0x7f', asked, 'x64')).to.deep.equal(harmless);
    expect(intentOfOpen(1, '257 0xffffff9c 0x7f 0x202 0x0 0x0 0x73 0x7f 0x7f', 'x64')).to.deep.equal(cut(0));
    expect(intentOfOpen(1, '257 0xffffff9c 0x7f 0x2 0x0 0x0 0x73 0x7f 0x7f', 'x64')).to.deep.equal(harmless);
    expect(intentOfOpen(1, '85 0x7f 0x1a4 0x0 0x0 0x0 0x73 0x7f 0x7f', 'x64')).to.deep.equal(cut(0));
    expect(intentOfOpen(1, '59 0x7f 0x0 0x0 0x0 0x0 0x0 0x7f 0x7f', 'x64')).to.deep.equal(harmless);
  });

  it('takes what it cannot tell for a truncation that it is not sure of', () => {
    for (const line of ['', 'running', '-1 0x7f 0x7f', '426 0x3 0x1 0x0 0x0 0x0 0x8 0x7f 0x7f']) {
      expect(intentOfOpen(1, line, 'x64'), line).to.deep.equal(cut(0, false));
      expect(intentOfAccess(line, asked, 'x64'), line).to.deep.equal(cut(4096, false));
      expect(intentOfAccess(line, { ...asked, count: 8192 }, 'x64'), line).to.deep.equal(harmless);
    }
    expect(intentOfOpen(1, '257 0xffffff9c 0x7f 0x0 0x0 0x0 0x73 0x7f 0x7f', 'riscv64')).to.deep.equal(cut(0, false));
  });
});
