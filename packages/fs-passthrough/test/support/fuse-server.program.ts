/**
 * A file system in memory behind a FUSE mount of the host, which does not answer while it is told so. Its only argument is the
 * directory. It says `mounted`, and `held OPCODE` for each request that it keeps. Lines of standard input: `hang` (everything),
 * `hang OPCODE`, `go`. It ends by itself when it hung too long: who asks it in the thread that is to say `go` would wait for ever.
 */
import { createInterface } from 'node:readline';
import { FUSE_FORGET, FUSE_INTERRUPT, FuseSession } from '@oriel/fuse';
import { MemoryFilesystem, MemoryMessage } from '@oriel/fuse/testing';
import { check, EPOLLIN, Fd, NodeLoop, O_CLOEXEC, O_NONBLOCK, O_RDWR, openSys } from '@oriel/sys';

const AT_FDCWD = -100;
const ROOM = 1024 * 1024 + 4096;
const ANY = -1;
const PATIENCE_MS = 50_000;

const text = (value: string): Buffer => Buffer.from(`${value}\0`);

const path = process.argv[2]!;
const sys = openSys();
const device = new Fd(
  sys.fd,
  check(sys.file.openat(AT_FDCWD, text('/dev/fuse'), O_RDWR | O_NONBLOCK | O_CLOEXEC, 0), '/dev/fuse'),
);
const options = `fd=${device.fd},rootmode=40755,user_id=0,group_id=0,allow_other,default_permissions`;
check(sys.sandbox.mount(text('oriel-test'), text(path), text('fuse.oriel'), 0, text(options)), 'mount');

const idle: MemoryMessage[] = [];
const held: MemoryMessage[] = [];
let hanging: number | null = null;
let patience: NodeJS.Timeout | undefined;

const session = new FuseSession({
  sys,
  fs: new MemoryFilesystem(),
  finish(message, written) {
    const memory = message as MemoryMessage;
    if (written > 0) sys.fd.write(device.fd, memory.reply, written);
    idle.push(memory);
  },
});

function take(request: Uint8Array, len: number): void {
  const opcode = new DataView(request.buffer, request.byteOffset).getUint32(4, true);
  if (opcode === FUSE_INTERRUPT) return;
  const silent = opcode === FUSE_FORGET;
  const message = (idle.pop() ?? new MemoryMessage(sys.mem)).load(request, len, silent ? 0 : ROOM);
  if (!silent && (hanging === ANY || hanging === opcode)) {
    held.push(message);
    process.stdout.write(`held ${opcode}\n`);
  } else {
    session.handle(message);
  }
}

const loop = new NodeLoop(sys);
const request = new Uint8Array(ROOM);
loop.watch(device.fd, EPOLLIN, () => {
  for (let len = sys.fd.read(device.fd, request, ROOM); len > 0; len = sys.fd.read(device.fd, request, ROOM)) {
    take(request, len);
  }
});
loop.run();
process.stdout.write('mounted\n');
for await (const line of createInterface({ input: process.stdin })) {
  const [word, opcode] = line.split(' ');
  hanging = word === 'hang' ? Number(opcode ?? ANY) : null;
  clearTimeout(patience);
  if (hanging !== null) patience = setTimeout(() => process.exit(1), PATIENCE_MS);
  if (word === 'go') {
    for (const message of held.splice(0)) session.handle(message);
  }
  process.stdout.write(`${word}\n`);
}
process.exit(0);
